// The network calls declared in holdfast_network.h.
#define _GNU_SOURCE
#include "holdfast_network.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

int holdfast_link_named(int socket, const char *name, struct holdfast_link *link) {
    struct ifreq request;
    memset(link, 0, sizeof *link);
    memset(&request, 0, sizeof request);
    if (strlen(name) >= IFNAMSIZ) return -ENODEV;
    strcpy(request.ifr_name, name);
    if (ioctl(socket, SIOCGIFINDEX, &request) < 0) return -errno;
    link->index = request.ifr_ifindex;
    if (ioctl(socket, SIOCGIFFLAGS, &request) < 0) return -errno;
    int flags = request.ifr_flags;
    if (ioctl(socket, SIOCGIFHWADDR, &request) < 0) return -errno;
    memcpy(link->hardware_address, request.ifr_hwaddr.sa_data, sizeof link->hardware_address);
    link->is_up = (flags & IFF_UP) != 0;
    link->speaks_arp = request.ifr_hwaddr.sa_family == ARPHRD_ETHER && (flags & (IFF_NOARP | IFF_LOOPBACK)) == 0;
    return 0;
}

int holdfast_arp_socket(void) {
    // Protocol 0: nothing is delivered before bind.
    int result = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return result < 0 ? -errno : result;
}

int holdfast_arp_watch(int socket, const uint32_t *addresses, size_t count) {
    // Per address one comparison and one return, so that no jump is longer than a single step.
    struct sock_filter program[4 + 2 * HOLDFAST_WATCHED_MAXIMUM + 1];
    unsigned length = 0;
    if (count > HOLDFAST_WATCHED_MAXIMUM) return -E2BIG;
    program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_PKTTYPE);
    program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
    // The socket starts at the network header; an ARP packet has its sender's IPv4 address at byte 14.
    program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 14);
    for (size_t position = 0; position < count; position++) {
        program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, addresses[position], 0, 1);
        program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 64);
    }
    program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog filter = {.len = (unsigned short)length, .filter = program};
    if (setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0) return -errno;
    struct sockaddr_ll everywhere = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP)};
    if (bind(socket, (struct sockaddr *)&everywhere, sizeof everywhere) < 0) return -errno;
    return 0;
}

int holdfast_arp_broadcast(int socket, int32_t interface, const uint8_t *packet, size_t length) {
    struct sockaddr_ll destination = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = interface, .sll_halen = 6};
    memset(destination.sll_addr, 0xff, 6);
    ssize_t sent = sendto(socket, packet, length, MSG_DONTWAIT, (struct sockaddr *)&destination, sizeof destination);
    return sent < 0 ? -errno : 0;
}

int holdfast_arp_receive(int socket, uint8_t *packet, size_t capacity, int32_t *interface) {
    struct sockaddr_ll source;
    socklen_t size = sizeof source;
    ssize_t length = recvfrom(socket, packet, capacity, MSG_DONTWAIT, (struct sockaddr *)&source, &size);
    if (length < 0) return -errno;
    *interface = source.sll_ifindex;
    return (int)length;
}

int holdfast_wakeup(void) {
    int result = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return result < 0 ? -errno : result;
}

int holdfast_pipe(int ends[2]) {
    return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
}

int holdfast_memory_file(const void *content, size_t length) {
    int result = memfd_create("holdfast", MFD_CLOEXEC);
    if (result < 0) return -errno;
    if (pwrite(result, content, length, 0) != (ssize_t)length) {
        int code = errno;
        close(result);
        return code == 0 ? -ENOSPC : -code;
    }
    return result;
}

int holdfast_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
    return -posix_spawn_file_actions_addclosefrom_np(actions, first);
}

int holdfast_name_thread(const char *name) {
    return -pthread_setname_np(pthread_self(), name);
}

int holdfast_real_time(int priority) {
    struct sched_param parameter = {.sched_priority = priority};
    return sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &parameter) < 0 ? -errno : 0;
}

int64_t holdfast_tick_nanoseconds(void) {
    struct timespec tick;
    if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) < 0) return -errno;
    return (int64_t)tick.tv_sec * 1000000000 + tick.tv_nsec;
}

int holdfast_unshare_network(void) {
    return unshare(CLONE_NEWNET) < 0 ? -errno : 0;
}

// The network calls declared in holdfast_network.h.
#define _GNU_SOURCE
#include "holdfast_network.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
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
    link->is_running = link->is_up && (flags & IFF_RUNNING) != 0;
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

int holdfast_frame(
    int socket, int32_t interface, uint16_t type, const uint8_t *hardware, const uint8_t *packet, size_t length) {
    struct sockaddr_ll destination = {
        .sll_family = AF_PACKET, .sll_protocol = htons(type), .sll_ifindex = interface, .sll_halen = 6};
    memcpy(destination.sll_addr, hardware, 6);
    ssize_t sent = sendto(socket, packet, length, MSG_DONTWAIT, (struct sockaddr *)&destination, sizeof destination);
    return sent < 0 ? -errno : 0;
}

int holdfast_neighbour_watch(int socket, const uint32_t *endings, size_t count) {
    // As for ARP. The socket starts at the ICMPv6 header; an advertisement's target begins at byte 8, and the packet's
    // source at byte 8 of the network header.
    struct sock_filter program[6 + 2 * HOLDFAST_WATCHED_MAXIMUM + 1];
    unsigned length = 0;
    if (count > HOLDFAST_WATCHED_MAXIMUM) return -E2BIG;
    program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0);
    program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_ADVERT, 0, 2);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8 + 12);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_NET_OFF + 8 + 12);
    for (size_t position = 0; position < count; position++) {
        program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, endings[position], 0, 1);
        program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 128);
    }
    program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog filter = {.len = (unsigned short)length, .filter = program};
    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0 ? -errno : 0;
}

int holdfast_neighbour_socket(void) {
    int result = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
    if (result < 0) return -errno;
    int off = 0, on = 1, hops = 255;
    struct icmp6_filter types;
    ICMP6_FILTER_SETBLOCKALL(&types);
    ICMP6_FILTER_SETPASS(ND_NEIGHBOR_SOLICIT, &types);
    ICMP6_FILTER_SETPASS(ND_NEIGHBOR_ADVERT, &types);
    int code = holdfast_neighbour_watch(result, NULL, 0);
    if (code == 0 && (setsockopt(result, IPPROTO_ICMPV6, ICMP6_FILTER, &types, sizeof types) < 0 ||
                      setsockopt(result, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &off, sizeof off) < 0 ||
                      setsockopt(result, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops) < 0 ||
                      setsockopt(result, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on) < 0 ||
                      setsockopt(result, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) < 0))
        code = -errno;
    if (code == 0) return result;
    close(result);
    return code;
}

int holdfast_neighbour_send(
    int socket, int32_t interface, const uint8_t *source, const uint8_t *destination, const uint8_t *message,
    size_t length) {
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)interface};
    memcpy(&to.sin6_addr, destination, 16);
    struct in6_pktinfo from = {.ipi6_ifindex = (unsigned)interface};
    memcpy(&from.ipi6_addr, source, 16);
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof from)];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = {.iov_base = (void *)message, .iov_len = length};
    struct msghdr whole = {
        .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
        .msg_controllen = sizeof control.bytes};
    struct cmsghdr *item = CMSG_FIRSTHDR(&whole);
    item->cmsg_level = IPPROTO_IPV6;
    item->cmsg_type = IPV6_PKTINFO;
    item->cmsg_len = CMSG_LEN(sizeof from);
    memcpy(CMSG_DATA(item), &from, sizeof from);
    return sendmsg(socket, &whole, MSG_DONTWAIT) < 0 ? -errno : 0;
}

int holdfast_neighbour_receive(
    int socket, uint8_t *message, size_t capacity, uint8_t *source, int32_t *interface) {
    struct sockaddr_in6 from;
    union {
        struct cmsghdr header;
        uint8_t bytes[256];
    } control;
    struct iovec part = {.iov_base = message, .iov_len = capacity};
    struct msghdr whole = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
        .msg_controllen = sizeof control.bytes};
    ssize_t length = recvmsg(socket, &whole, MSG_DONTWAIT);
    if (length < 0) return -errno;
    int hops = 0;
    *interface = 0;
    memcpy(source, &from.sin6_addr, 16);
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&whole); item != NULL; item = CMSG_NXTHDR(&whole, item)) {
        if (item->cmsg_level != IPPROTO_IPV6) continue;
        if (item->cmsg_type == IPV6_HOPLIMIT) memcpy(&hops, CMSG_DATA(item), sizeof hops);
        if (item->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo arrival;
            memcpy(&arrival, CMSG_DATA(item), sizeof arrival);
            *interface = (int32_t)arrival.ipi6_ifindex;
        }
    }
    return hops == 255 ? (int)length : 0;
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

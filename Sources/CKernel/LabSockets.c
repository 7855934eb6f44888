// The laboratory's share of the kernel: see LabSockets.h. Code between fork and exec uses async-signal-safe calls only.
#define _GNU_SOURCE
#include "LabSockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
// Before the kernel's headers, which then leave out what it has defined.
#include <net/if.h>

#include <linux/icmp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct failure {
    int error;
    int stage;
};

static const char *const stages[] = {
    "start a process", "join the namespaces", "connect the standard streams", "execute the program",
    "mount /proc",     "mount /sys",          "set the host name",
};

enum { start_process, join_namespaces, connect_streams, execute, mount_proc, mount_sys, set_host_name };

static void tell(int pipe, int stage) {
    struct failure failure = {errno, stage};
    ssize_t written = write(pipe, &failure, sizeof failure);
    (void)written;
    _exit(127);
}

static int fail(const char **stage, int which) {
    *stage = stages[which];
    return -errno;
}

static void default_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < 32; number++) signal(number, SIG_DFL);
}

static int move_above_streams(int descriptor) {
    return descriptor > 2 ? descriptor : fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
}

static void run_child(const struct lab_spawn *request, int report) {
    report = move_above_streams(report);
    if (request->own_session) setsid();
    if (request->join >= 0) {
        int which = request->join_network_only ? CLONE_NEWNET : CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS;
        if (setns(request->join, which) != 0) tell(report, join_namespaces);
    }
    int wanted[3] = {request->standard_input, request->standard_output, request->standard_error};
    int nothing = move_above_streams(open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int i = 0; i < 3; i++) {
        wanted[i] = wanted[i] < 0 ? nothing : move_above_streams(wanted[i]);
        if (wanted[i] < 0) tell(report, connect_streams);
    }
    for (int i = 0; i < 3; i++)
        if (dup2(wanted[i], i) < 0) tell(report, connect_streams);
    if (dup2(report, 3) < 0 || fcntl(3, F_SETFD, FD_CLOEXEC) != 0) tell(report, connect_streams);
    close_range(4, ~0U, 0);
    default_signals();
    execve(request->executable, request->arguments, request->environment);
    tell(3, execute);
}

// Reads the child's report: nothing when it went well.
static int await(int pipe, pid_t child, const char **stage) {
    struct failure failure;
    ssize_t got;
    do got = read(pipe, &failure, sizeof failure);
    while (got < 0 && errno == EINTR);
    close(pipe);
    if (got != sizeof failure) return child;
    waitpid(child, NULL, 0);
    *stage = stages[failure.stage];
    return failure.error > 0 ? -failure.error : -EIO;
}

int lab_spawn(const struct lab_spawn *request, const char **stage) {
    int pipe[2];
    if (pipe2(pipe, O_CLOEXEC) != 0) return fail(stage, start_process);
    int home = -1;
    if (request->join >= 0 && !request->join_network_only) {
        home = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
        if (home < 0 || setns(request->join, CLONE_NEWPID) != 0) {
            int result = fail(stage, join_namespaces);
            if (home >= 0) close(home);
            close(pipe[0]);
            close(pipe[1]);
            return result;
        }
    }
    pid_t child = fork();
    int error = errno;
    if (child == 0) run_child(request, pipe[1]);
    if (home >= 0) {
        // From here on children are born at home again; this cannot fail for the own namespace.
        setns(home, CLONE_NEWPID);
        close(home);
    }
    close(pipe[1]);
    if (child < 0) {
        close(pipe[0]);
        errno = error;
        return fail(stage, start_process);
    }
    return await(pipe[0], child, stage);
}

static void run_node(const char *name, int report) {
    report = dup2(report, 3);
    close_range(4, ~0U, 0);
    int nothing = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++) dup2(nothing, i);
    if (nothing > 3) close(nothing);
    setsid();
    default_signals();
    prctl(PR_SET_NAME, name);
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) tell(report, mount_proc);
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) tell(report, mount_proc);
    if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) tell(report, mount_sys);
    if (sethostname(name, strlen(name)) != 0) tell(report, set_host_name);
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    close(report);
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
        sigwaitinfo(&children, NULL);
    }
}

int lab_start_node(const char *name, const char **stage) {
    int pipe[2];
    if (pipe2(pipe, O_CLOEXEC) != 0) return fail(stage, start_process);
    long child = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) run_node(name, pipe[1]);
    int error = errno;
    close(pipe[1]);
    if (child < 0) {
        close(pipe[0]);
        errno = error;
        return fail(stage, start_process);
    }
    return await(pipe[0], (pid_t)child, stage);
}

int lab_process_descriptor(pid_t process) {
    long result = syscall(SYS_pidfd_open, process, 0);
    return result < 0 ? -errno : (int)result;
}

int lab_signal(int process_descriptor, int signal) {
    return syscall(SYS_pidfd_send_signal, process_descriptor, signal, NULL, 0) != 0 ? -errno : 0;
}

int lab_join_network(pid_t process) {
    int descriptor = lab_process_descriptor(process);
    if (descriptor < 0) return descriptor;
    int result = setns(descriptor, CLONE_NEWNET) != 0 ? -errno : 0;
    close(descriptor);
    return result;
}

int lab_peer(int socket, pid_t *process, uid_t *user) {
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return -errno;
    *process = credentials.pid;
    *user = credentials.uid;
    return 0;
}

int lab_open_network(void) {
    int descriptor = open("/proc/self/ns/net", O_RDONLY);
    return descriptor < 0 ? -errno : descriptor;
}

int lab_new_network(void) {
    if (unshare(CLONE_NEWNET) != 0) return -errno;
    return lab_open_network();
}

int lab_enter_network(int descriptor) { return setns(descriptor, CLONE_NEWNET) == 0 ? 0 : -errno; }

static void name_interface(struct ifreq *request, const char *interface) {
    memset(request, 0, sizeof *request);
    strncpy(request->ifr_name, interface, IFNAMSIZ - 1);
}

int lab_set_link(const char *interface, int up) {
    struct ifreq request;
    int result = 0;
    int socket_descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_descriptor < 0) return -errno;
    name_interface(&request, interface);
    if (ioctl(socket_descriptor, SIOCGIFFLAGS, &request) != 0) {
        result = -errno;
    } else {
        request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
        if (ioctl(socket_descriptor, SIOCSIFFLAGS, &request) != 0) result = -errno;
    }
    close(socket_descriptor);
    return result;
}

static int with_receive_times(int descriptor) {
    int on = 1, room = 1 << 20;
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (setsockopt(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) == 0) return descriptor;
    int result = -errno;
    close(descriptor);
    return result;
}

int lab_open_echo_socket(void) {
    int descriptor = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
    if (descriptor < 0) return -errno;
    struct icmp_filter filter = {~(1U << ICMP_ECHOREPLY)};
    if (setsockopt(descriptor, SOL_RAW, ICMP_FILTER, &filter, sizeof filter) != 0) {
        int result = -errno;
        close(descriptor);
        return result;
    }
    return with_receive_times(descriptor);
}

int lab_interface_index(const char *interface) {
    unsigned index = if_nametoindex(interface);
    return index == 0 ? -errno : (int)index;
}

int lab_open_echo6_socket(void) {
    int descriptor = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
    if (descriptor < 0) return -errno;
    struct icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
    if (setsockopt(descriptor, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) != 0) {
        int result = -errno;
        close(descriptor);
        return result;
    }
    return with_receive_times(descriptor);
}

int lab_open_frame_socket(const char *interface, uint16_t type, uint8_t hardware[6]) {
    struct ifreq request;
    int index = lab_interface_index(interface);
    if (index < 0) return index;
    int descriptor = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(type));
    if (descriptor < 0) return -errno;
    struct sockaddr_ll here = {.sll_family = AF_PACKET, .sll_protocol = htons(type), .sll_ifindex = index};
    name_interface(&request, interface);
    if (bind(descriptor, (struct sockaddr *)&here, sizeof here) != 0 || ioctl(descriptor, SIOCGIFHWADDR, &request) != 0) {
        int result = -errno;
        close(descriptor);
        return result;
    }
    memcpy(hardware, request.ifr_hwaddr.sa_data, 6);
    return with_receive_times(descriptor);
}

int lab_send_echo(int socket, uint32_t address, const void *bytes, int count) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr.s_addr = address};
    ssize_t sent = sendto(socket, bytes, (size_t)count, MSG_DONTWAIT, (struct sockaddr *)&there, sizeof there);
    return sent < 0 ? -errno : (int)sent;
}

int lab_send_echo6(int socket, const uint8_t address[16], const void *bytes, int count) {
    struct sockaddr_in6 there = {.sin6_family = AF_INET6};
    memcpy(&there.sin6_addr, address, 16);
    ssize_t sent = sendto(socket, bytes, (size_t)count, MSG_DONTWAIT, (struct sockaddr *)&there, sizeof there);
    return sent < 0 ? -errno : (int)sent;
}

int lab_send_frame(int socket, int interface_index, uint16_t type, const void *bytes, int count) {
    struct sockaddr_ll there = {.sll_family = AF_PACKET, .sll_protocol = htons(type),
                                .sll_ifindex = interface_index, .sll_halen = 6};
    memcpy(there.sll_addr, bytes, 6);
    ssize_t sent = sendto(socket, bytes, (size_t)count, MSG_DONTWAIT, (struct sockaddr *)&there, sizeof there);
    return sent < 0 ? -errno : (int)sent;
}

int lab_receive(int socket, void *bytes, int capacity, int64_t *received_nanoseconds) {
    struct iovec part = {bytes, (size_t)capacity};
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
    } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT);
    if (got < 0) return -errno;
    *received_nanoseconds = lab_wall_clock();
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item != NULL; item = CMSG_NXTHDR(&message, item)) {
        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_TIMESTAMPNS) continue;
        struct timespec time;
        memcpy(&time, CMSG_DATA(item), sizeof time);
        *received_nanoseconds = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
    }
    return (int)got;
}

static int64_t read_clock(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t lab_wall_clock(void) { return read_clock(CLOCK_REALTIME); }

int64_t lab_boot_clock(void) { return read_clock(CLOCK_BOOTTIME); }

int lab_prefer_real_time(void) {
    struct sched_param parameters = {.sched_priority = 1};
    return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameters) != 0 ? -errno : 0;
}

int lab_lock(int file) { return flock(file, LOCK_EX | LOCK_NB) != 0 ? -errno : 0; }

int lab_accept(int listening) {
    int caller = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    return caller < 0 ? -errno : caller;
}

int lab_catch_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int descriptor = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}

int lab_next_signal(int caught) {
    struct signalfd_siginfo information;
    if (read(caught, &information, sizeof information) != sizeof information) return 0;
    return (int)information.ssi_signo;
}

void lab_write_by_lines(void) { setvbuf(stdout, NULL, _IOLBF, 0); }

int lab_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) != 0 ? -errno : 0; }

int lab_poll(struct pollfd *polls, int count, int64_t nanoseconds) {
    struct timespec limit = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    int result = ppoll(polls, (nfds_t)count, &limit, NULL);
    return result < 0 ? -errno : result;
}

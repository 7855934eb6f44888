// What the laboratory needs of the kernel that Swift cannot say itself: starting a process inside other namespaces,
// raw sockets with the kernel's own receive times, and the link flag of a switch port. Linux only.
// Every function answers a result >= 0, or -errno. It keeps no state and holds no policy.
#pragma once
#include <poll.h>
#include <stdint.h>
#include <sys/types.h>

/// How to start a program. Standard streams of -1 become /dev/null; every other descriptor is closed.
struct lab_spawn {
    /// Absolute path, and null-terminated lists.
    const char *executable;
    char *const *arguments;
    char *const *environment;
    int standard_input;
    int standard_output;
    int standard_error;
    /// The process whose namespaces to join, as a descriptor of it, or -1.
    int join;
    /// Non-zero: join the network namespace only, so that process ids keep their meaning.
    int join_network_only;
    /// Non-zero: a session and process group of its own.
    int own_session;
};

/// Starts a program. Answers its process id as seen by the caller. `stage` names the step that failed.
/// Only for a process with a single thread: it changes, for a moment, where children are born.
int lab_spawn(const struct lab_spawn *request, const char **stage);

/// Starts the first process of a new network, mount, host name and process namespace, and waits until it is ready.
/// It collects orphans and does nothing else; killing it kills everything inside at once.
int lab_start_node(const char *name, const char **stage);

int lab_process_descriptor(pid_t process);
int lab_signal(int process_descriptor, int signal);
/// Replaces the network namespace of the calling thread by that of `process`.
int lab_join_network(pid_t process);
/// The network namespace this process is in, left open across exec. Its descriptor, or -errno.
int lab_open_network(void);
/// An empty network namespace of this process's own, which must have one thread. Its descriptor, or -errno.
int lab_new_network(void);
/// Enters the network namespace behind a descriptor. 0, or -errno.
int lab_enter_network(int descriptor);
/// Process id and user of who is at the other end of a unix socket; the id in the caller's process namespace.
int lab_peer(int socket, pid_t *process, uid_t *user);
/// Switches a network interface of the calling thread's namespace on or off.
int lab_set_link(const char *interface, int up);

/// A raw ICMP socket that receives echo replies only, with kernel receive times.
int lab_open_echo_socket(void);
/// The same for ICMPv6.
int lab_open_echo6_socket(void);
/// A packet socket for frames of an Ethernet type on `interface`, with kernel receive times; its hardware address is
/// stored in `hardware`.
int lab_open_frame_socket(const char *interface, uint16_t type, uint8_t hardware[6]);
/// `address` in network byte order.
int lab_send_echo(int socket, uint32_t address, const void *bytes, int count);
/// The kernel adds the checksum.
int lab_send_echo6(int socket, const uint8_t address[16], const void *bytes, int count);
/// Sends a whole Ethernet frame of a type.
int lab_send_frame(int socket, int interface_index, uint16_t type, const void *bytes, int count);
int lab_interface_index(const char *interface);
/// Reads one datagram without waiting, and the time the kernel received it, nanoseconds of the wall clock.
/// -EAGAIN when there is none.
int lab_receive(int socket, void *bytes, int capacity, int64_t *received_nanoseconds);
/// Nanoseconds of the wall clock and of the boot-time clock.
int64_t lab_wall_clock(void);
int64_t lab_boot_clock(void);
/// Asks for the lowest real-time priority. Fails without the right to it, which is no harm.
int lab_prefer_real_time(void);
/// An exclusive lock on an open file, without waiting.
int lab_lock(int file);
/// The next caller of a listening socket.
int lab_accept(int listening);
/// A descriptor that becomes readable at SIGCHLD, SIGTERM and SIGINT, which from then on do nothing else.
int lab_catch_signals(void);
/// The number of the next signal caught, or 0 when there is none.
int lab_next_signal(int caught);
/// Makes standard output write each line at once, also into a pipe.
void lab_write_by_lines(void);
/// A pipe, both ends closed on exec.
int lab_pipe(int ends[2]);
/// poll(2) with a time limit in nanoseconds.
int lab_poll(struct pollfd *polls, int count, int64_t nanoseconds);

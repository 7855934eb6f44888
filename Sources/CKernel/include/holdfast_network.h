// Network calls for the address driver: netlink constants, the packet socket, real-time scheduling.
// Every function returns 0 (or a count) on success and a negative errno otherwise.
#pragma once

#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

// What must be known of an interface to announce an address on it.
struct holdfast_link {
    int32_t index;
    uint8_t hardware_address[6];
    // 1 when it is Ethernet-like, uses ARP and is not the loopback.
    uint8_t speaks_arp;
    uint8_t is_up;
    // 1 when it is up and has a carrier (IFF_RUNNING).
    uint8_t is_running;
};

// Fills `link` for the interface called `name`, using any open socket.
int holdfast_link_named(int socket, const char *name, struct holdfast_link *link);

// A packet socket for ARP, non-blocking, close-on-exec, that delivers nothing until holdfast_arp_watch.
int holdfast_arp_socket(void);

// From now on deliver exactly the ARP frames of others whose sender is one of `count` (at most
// HOLDFAST_WATCHED_MAXIMUM) addresses in host byte order.
#define HOLDFAST_WATCHED_MAXIMUM 512
int holdfast_arp_watch(int socket, const uint32_t *addresses, size_t count);

// Broadcasts one ARP packet (28 bytes) on an interface.
int holdfast_arp_broadcast(int socket, int32_t interface, const uint8_t *packet, size_t length);

// Reads one ARP packet; returns its length, or -EAGAIN.
int holdfast_arp_receive(int socket, uint8_t *packet, size_t capacity, int32_t *interface);

// Sends one packet in a frame of this Ethernet type to a hardware address, over the packet socket.
int holdfast_frame(
    int socket, int32_t interface, uint16_t type, const uint8_t *destination, const uint8_t *packet, size_t length);

// A raw ICMPv6 socket for neighbour discovery, non-blocking, close-on-exec, that delivers nothing until
// holdfast_neighbour_watch. -EAFNOSUPPORT on a kernel without IPv6.
int holdfast_neighbour_socket(void);

// From now on deliver exactly the neighbour advertisements about, and neighbour solicitations from, addresses whose last
// four bytes are among `count` (at most HOLDFAST_WATCHED_MAXIMUM) numbers in host byte order.
int holdfast_neighbour_watch(int socket, const uint32_t *endings, size_t count);

// Sends one ICMPv6 message with hop limit 255 from `source` to `destination` (16 bytes each); the kernel adds the checksum.
int holdfast_neighbour_send(
    int socket, int32_t interface, const uint8_t *source, const uint8_t *destination, const uint8_t *message,
    size_t length);

// Reads one ICMPv6 message; returns its length, 0 for one that came from beyond a router, or -EAGAIN.
int holdfast_neighbour_receive(
    int socket, uint8_t *message, size_t capacity, uint8_t *source, int32_t *interface);

// A descriptor that becomes readable when 8 bytes are written to it (eventfd): non-blocking, close-on-exec.
int holdfast_wakeup(void);

// A close-on-exec pipe: ends[0] is read, ends[1] is written.
int holdfast_pipe(int ends[2]);

// A close-on-exec file in memory with this content, open at its beginning.
int holdfast_memory_file(const void *content, size_t length);

// The program to be started keeps no descriptor from `first` on. Sockets of other libraries are not always
// close-on-exec.
int holdfast_spawn_close_from(posix_spawn_file_actions_t *actions, int first);

// Names the calling thread (at most 15 bytes), as `top -H` shows it.
int holdfast_name_thread(const char *name);

// Gives the calling thread round-robin real-time priority; programs it starts do not inherit it.
int holdfast_real_time(int priority);

// The length of a tick of the kernel's coarse clock, in nanoseconds.
int64_t holdfast_tick_nanoseconds(void);

// Moves the calling thread into a network namespace of its own. For the laboratory and the tests.
int holdfast_unshare_network(void);

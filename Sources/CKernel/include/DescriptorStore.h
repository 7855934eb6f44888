// Handing an open file to the service manager, which keeps it over a restart of this process (sd_pid_notify_with_fds(3)).
#pragma once
#include <stddef.h>
#include <sys/socket.h>

/// Sends a datagram with one descriptor beside it, without waiting for room.
/// Answers 0, or -errno.
int holdfast_send_with_descriptor(
    int socket, const struct sockaddr *address, socklen_t address_length, const void *text, size_t size, int descriptor);

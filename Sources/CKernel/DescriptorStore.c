// See DescriptorStore.h.
#include "DescriptorStore.h"
#include <errno.h>
#include <string.h>

int holdfast_send_with_descriptor(
    int socket, const struct sockaddr *address, socklen_t address_length, const void *text, size_t size, int descriptor) {
    struct iovec part = {.iov_base = (void *)text, .iov_len = size};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {
        .msg_name = (void *)address,
        .msg_namelen = address_length,
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    for (;;) {
        ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) return (size_t)sent == size ? 0 : -EMSGSIZE;
        if (errno != EINTR) return -errno;
    }
}

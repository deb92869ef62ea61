#define _GNU_SOURCE
#include "clinux.h"
#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

// The head of the ring that the kernel maps at the context's address (fs/aio.c, struct aio_ring;
// libaio reads it the same way). Reaping here saves an io_getevents for every wake.
struct ring {
    unsigned id, nr, head, tail, magic, compat, incompat, header_length;
    struct io_event events[];
};
#define RING_MAGIC 0xa10a10a1u

struct ww_aio {
    aio_context_t context;
    int fd, event_fd, armed;
    struct iocb read, write;
};

ww_aio *ww_aio_open(int fd, int *event_fd) {
    ww_aio *aio = calloc(1, sizeof *aio);
    if (!aio) return NULL;
    aio->fd = fd;
    aio->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (aio->event_fd < 0) {
        free(aio);
        return NULL;
    }
    if (syscall(SYS_io_setup, 4, &aio->context) != 0) {
        close(aio->event_fd);
        free(aio);
        return NULL;
    }
    *event_fd = aio->event_fd;
    return aio;
}

static void fill(struct iocb *iocb, ww_aio *aio, int events) {
    memset(iocb, 0, sizeof *iocb);
    iocb->aio_lio_opcode = IOCB_CMD_POLL;
    iocb->aio_fildes = (unsigned)aio->fd;
    iocb->aio_buf = (unsigned)events;
    iocb->aio_flags = IOCB_FLAG_RESFD;
    iocb->aio_resfd = (unsigned)aio->event_fd;
}

int ww_aio_arm(ww_aio *aio, int interest) {
    struct iocb *list[2];
    int count = 0, wanted = interest & ~aio->armed;
    if (wanted & WW_READABLE) {
        fill(&aio->read, aio, POLLIN);
        aio->read.aio_data = WW_READABLE;
        list[count++] = &aio->read;
    }
    if (wanted & WW_WRITABLE) {
        fill(&aio->write, aio, POLLOUT);
        aio->write.aio_data = WW_WRITABLE;
        list[count++] = &aio->write;
    }
    if (count == 0) return 0;
    long submitted = syscall(SYS_io_submit, aio->context, (long)count, list);
    if (submitted < 0) return -errno;
    if (submitted != count) return -EAGAIN;
    aio->armed |= wanted;
    return 0;
}

static void forget(ww_aio *aio, struct io_event *event) { aio->armed &= ~(int)event->data; }

int ww_aio_reap(ww_aio *aio) {
    struct ring *ring = (struct ring *)aio->context;
    if (ring->magic == RING_MAGIC && ring->incompat == 0) {
        unsigned head = ring->head;
        unsigned tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
        while (head != tail) {
            forget(aio, &ring->events[head]);
            head = (head + 1) % ring->nr;
        }
        __atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
        return 0;
    }
    struct io_event events[4];
    struct timespec { long seconds, nanoseconds; } none = {0, 0};
    long count = syscall(SYS_io_getevents, aio->context, 0L, 4L, events, &none);
    if (count < 0) return -errno;
    for (long i = 0; i < count; i++) forget(aio, &events[i]);
    return 0;
}

void ww_aio_close(ww_aio *aio) {
    syscall(SYS_io_destroy, aio->context);
    free(aio);
}

int ww_epoll_open(int *wake_fd) {
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) return -errno;
    *wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0};
    if (*wake_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, *wake_fd, &event) != 0) {
        int error = errno;
        close(epoll_fd);
        if (*wake_fd >= 0) close(*wake_fd);
        return -error;
    }
    return epoll_fd;
}

int ww_epoll_arm(int epoll_fd, int fd, uint64_t key, int interest, int is_new) {
    struct epoll_event event = {.events = EPOLLONESHOT, .data.u64 = key};
    if (interest & WW_READABLE) event.events |= EPOLLIN | EPOLLRDHUP;
    if (interest & WW_WRITABLE) event.events |= EPOLLOUT;
    if (epoll_ctl(epoll_fd, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0) return -errno;
    return 0;
}

void ww_epoll_remove(int epoll_fd, int fd) { epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL); }

int ww_epoll_wait(int epoll_fd, uint64_t *keys, int count) {
    struct epoll_event events[64];
    if (count > 64) count = 64;
    int ready = epoll_wait(epoll_fd, events, count, -1);
    if (ready < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < ready; i++) keys[i] = events[i].data.u64;
    return ready;
}

void ww_epoll_wake(int wake_fd) {
    uint64_t one = 1;
    ssize_t written = write(wake_fd, &one, sizeof one);
    (void)written;
}

void ww_close(int fd) { close(fd); }

int ww_spawn_closes_from(posix_spawn_file_actions_t *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

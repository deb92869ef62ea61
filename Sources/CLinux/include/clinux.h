// Small doors to Linux calls that Swift's Glibc module does not show: readiness of a foreign
// descriptor, by kernel AIO poll into an eventfd or by an epoll set. No call here blocks except
// ww_epoll_wait. Errors are returned as negative errno values.
#pragma once
#include <spawn.h>
#include <stdint.h>

/// Bits of readiness, in and out.
#define WW_READABLE 1
#define WW_WRITABLE 2

/// A kernel AIO context that polls one descriptor and reports into one eventfd.
typedef struct ww_aio ww_aio;

/// Opens a context for `fd`; its eventfd is written to `event_fd` and belongs to the caller.
/// NULL when the kernel refuses (no AIO, a seccomp filter, aio-max-nr used up).
ww_aio *ww_aio_open(int fd, int *event_fd);

/// Arms one-shot polls for those of `interest` that are not armed yet. 0, or a negative errno.
int ww_aio_arm(ww_aio *aio, int interest);

/// Takes finished polls out of the ring, without a system call; they may be armed again.
int ww_aio_reap(ww_aio *aio);

/// Cancels what is armed and frees the context. The polled descriptor must still be open.
void ww_aio_close(ww_aio *aio);

/// An epoll set that holds an eventfd under key 0, which wakes a waiter.
int ww_epoll_open(int *wake_fd);
/// Adds or re-arms `fd` under `key`, one shot.
int ww_epoll_arm(int epoll_fd, int fd, uint64_t key, int interest, int is_new);
/// Takes `fd` out of the set.
void ww_epoll_remove(int epoll_fd, int fd);
/// Waits for up to `count` ready keys; their number, or a negative errno.
int ww_epoll_wait(int epoll_fd, uint64_t *keys, int count);
/// Wakes the waiter of the set.
void ww_epoll_wake(int wake_fd);
/// Closes a descriptor.
void ww_close(int fd);

/// Has a spawned child close every descriptor from `first` on: what it kept open would never end
/// for the other side. Glibc declares the call behind it for GNU sources only.
int ww_spawn_closes_from(posix_spawn_file_actions_t *actions, int first);

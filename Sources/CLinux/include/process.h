// Starts child processes that cannot outlive this one, which posix_spawn cannot promise: each child
// steps down to another user if asked, has a process group of its own (a terminal's Ctrl-C does not
// reach it) and is sent a signal by the kernel when this process dies, by kill -9 as well.
#pragma once
#include <stdint.h>

/// What to start. Strings and arrays end in NULL and are only read during the call.
typedef struct {
    /// The program's path.
    const char *program;
    /// Its arguments, the program's name first.
    const char *const *arguments;
    /// Its whole environment, `NAME=value`.
    const char *const *environment;
    /// Its working folder, or NULL for ours.
    const char *folder;
    /// What becomes its standard input, or -1 for /dev/null.
    int input;
    /// What becomes its standard output and standard error, or -1 for /dev/null.
    int output;
    /// The signal it gets when this process dies.
    int death_signal;
    /// Whether it changes to `user` and `group` and drops all other groups.
    int steps_down;
    uint32_t user;
    uint32_t group;
} ww_spawn_request;

/// Starts a child from a thread that lives as long as the process, since the kernel sends the death
/// signal when the creating *thread* ends. Returns 0 and the child's id and pidfd, or an errno.
int ww_spawn(const ww_spawn_request *request, int *child, int *pidfd);

/// Sends a signal to the process behind a pidfd. Returns 0 or an errno.
int ww_pidfd_signal(int pidfd, int signal);

/// Opens a pidfd for a process that need not be our child. Returns it, or -1.
int ww_pidfd_open(int process);

/// A pipe whose ends (reading, writing) are closed in children. Returns 0 or an errno.
int ww_pipe(int ends[2]);

/// Names the calling thread; the kernel keeps 15 bytes.
void ww_name_thread(const char *name);

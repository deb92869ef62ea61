// See process.h. Between fork and exec only async-signal-safe calls are made: the other threads of
// this process do not exist in the child, and whatever locks they held stay locked there.
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_once_t spawner_started = PTHREAD_ONCE_INIT;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int spawner_error;
static const ww_spawn_request *pending;
static int result_error, result_child, result_pidfd;

static void reset_signals(void) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int number = 1; number < 32; number++) sigaction(number, &standard, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int step_down(const ww_spawn_request *request) {
    // Raw system calls: glibc's wrappers talk to the threads that this child does not have.
    if (syscall(SYS_setgroups, 0, NULL) != 0) return -1;
    if (syscall(SYS_setresgid, request->group, request->group, request->group) != 0) return -1;
    return (int)syscall(SYS_setresuid, request->user, request->user, request->user);
}

static int prepare(const ww_spawn_request *request, pid_t parent) {
    reset_signals();
    if (setpgid(0, 0) != 0) return -1;
    int null = open("/dev/null", O_RDWR);
    if (null < 0) return -1;
    if (dup2(request->input < 0 ? null : request->input, 0) < 0) return -1;
    if (dup2(request->output < 0 ? null : request->output, 1) < 0) return -1;
    if (dup2(1, 2) < 0) return -1;
    if (request->steps_down && step_down(request) != 0) return -1;
    if (request->folder != NULL && chdir(request->folder) != 0) return -1;
    // After the change of user, which clears it. A parent that died before this line would never
    // send the signal, so the parent is looked at once more.
    if (prctl(PR_SET_PDEATHSIG, request->death_signal) != 0) return -1;
    if (getppid() != parent) _exit(127);
    return 0;
}

static void child_main(const ww_spawn_request *request, pid_t parent, int report) {
    // The report must survive the closing of everything else; 3 is the first number above stdio.
    if (prepare(request, parent) == 0) {
        if (report != 3) {
            dup2(report, 3);
            report = 3;
        }
        fcntl(report, F_SETFD, FD_CLOEXEC);
        syscall(SYS_close_range, 4, ~0U, 0);
        execve(
            request->program,
            (char *const *)request->arguments,
            (char *const *)request->environment
        );
    }
    int error = errno;
    ssize_t written = write(report, &error, sizeof error);
    (void)written;
    _exit(127);
}

static int spawn_here(const ww_spawn_request *request, int *child, int *pidfd) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) return errno;
    // Above stdio, so that dup2 onto 0, 1 and 2 in the child cannot run over it.
    int high = fcntl(report[1], F_DUPFD_CLOEXEC, 10);
    close(report[1]);
    if (high < 0) {
        int error = errno;
        close(report[0]);
        return error;
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t process = fork();
    if (process == 0) child_main(request, parent, high);
    int error = process < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(high);
    if (process > 0) {
        ssize_t count;
        do {
            count = read(report[0], &error, sizeof error);
        } while (count < 0 && errno == EINTR);
        if (count <= 0) error = 0;
        *pidfd = ww_pidfd_open(process);
        if (error == 0 && *pidfd < 0) {
            error = errno;
            kill(process, SIGKILL);
        }
        if (error != 0) {
            if (*pidfd >= 0) close(*pidfd);
            waitpid(process, NULL, 0);
        }
        *child = process;
    }
    close(report[0]);
    return error;
}

static void *spawner_main(void *unused) {
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (pending == NULL) pthread_cond_wait(&changed, &lock);
        result_error = spawn_here(pending, &result_child, &result_pidfd);
        pending = NULL;
        pthread_cond_broadcast(&changed);
    }
    return NULL;
}

static void start_spawner(void) {
    pthread_t thread;
    spawner_error = pthread_create(&thread, NULL, spawner_main, NULL);
    if (spawner_error == 0) pthread_detach(thread);
}

int ww_spawn(const ww_spawn_request *request, int *child, int *pidfd) {
    pthread_once(&spawner_started, start_spawner);
    if (spawner_error != 0) return spawner_error;
    pthread_mutex_lock(&one_at_a_time);
    pthread_mutex_lock(&lock);
    pending = request;
    pthread_cond_broadcast(&changed);
    while (pending != NULL) pthread_cond_wait(&changed, &lock);
    int error = result_error;
    *child = result_child;
    *pidfd = result_pidfd;
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&one_at_a_time);
    return error;
}

int ww_pidfd_signal(int pidfd, int signal) {
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0 ? 0 : errno;
}

int ww_pidfd_open(int process) {
    int descriptor = (int)syscall(SYS_pidfd_open, process, 0);
    if (descriptor >= 0) fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return descriptor;
}

int ww_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno; }

void ww_name_thread(const char *name) { prctl(PR_SET_NAME, name); }

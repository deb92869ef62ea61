// See arena.h. The two functions that libsodium calls by name are defined here and so take the
// place of those of glibc (the dynamic linker asks the program first). What glibc maps for itself,
// such as the memory of malloc, does not pass here.
#define _GNU_SOURCE
#include "arena.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define SMALLEST ((size_t)1 << 20)

typedef struct {
    void *mapping;
    size_t mapped;
    void *base;
    size_t size;
    int is_armed;
    int is_lent;
} arena;

static _Atomic uint64_t lent_count;
static _Atomic uint64_t mapped_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int has_key;
static __thread arena *mine;

static void *kernel_map(void *at, size_t size, int prot, int flags, int fd, off_t offset) {
    return (void *)syscall(SYS_mmap, at, size, prot, flags, fd, offset);
}

static int kernel_unmap(void *at, size_t size) { return (int)syscall(SYS_munmap, at, size); }

static void release(arena *it) {
    if (it->mapping) kernel_unmap(it->mapping, it->mapped);
    it->mapping = NULL;
    it->base = NULL;
    it->size = 0;
}

static void thread_ended(void *it) {
    release(it);
    free(it);
    mine = NULL;
}

static void make_key(void) { has_key = pthread_key_create(&key, thread_ended) == 0; }

void ww_arena_arm(void) {
    pthread_once(&once, make_key);
    if (!has_key) return;
    if (!mine) {
        arena *it = calloc(1, sizeof *it);
        if (!it) return;
        if (pthread_setspecific(key, it) != 0) {
            free(it);
            return;
        }
        mine = it;
    }
    mine->is_armed = 1;
}

void ww_arena_disarm(void) {
    if (mine) mine->is_armed = 0;
}

uint64_t ww_arena_lent(void) { return atomic_load_explicit(&lent_count, memory_order_relaxed); }

uint64_t ww_arena_mapped(void) { return atomic_load_explicit(&mapped_count, memory_order_relaxed); }

/// Huge pages where the kernel gives them: Argon2 jumps about in all of it.
static int prepare(arena *it, size_t size) {
    if (it->size >= size) return 1;
    release(it);
    size_t mapped = ((size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1)) + HUGE_PAGE;
    void *mapping =
        kernel_map(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return 0;
    it->mapping = mapping;
    it->mapped = mapped;
    it->base = (void *)(((uintptr_t)mapping + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    it->size = mapped - HUGE_PAGE;
    // Advice: a kernel that does not take it costs time, or a fuller core dump, and nothing else.
    madvise(it->base, it->size, MADV_HUGEPAGE);
    madvise(it->base, it->size, MADV_DONTDUMP);
    madvise(it->base, it->size, MADV_WIPEONFORK);
    atomic_fetch_add_explicit(&mapped_count, 1, memory_order_relaxed);
    return 1;
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset) {
    arena *it = mine;
    if (it && it->is_armed && !it->is_lent && !at && fd == -1 && size >= SMALLEST &&
        prot == (PROT_READ | PROT_WRITE) && (flags & MAP_PRIVATE) && (flags & MAP_ANONYMOUS)) {
        int before = errno;
        if (prepare(it, size)) {
            errno = before;
            it->is_lent = 1;
            atomic_fetch_add_explicit(&lent_count, 1, memory_order_relaxed);
            return it->base;
        }
    }
    return kernel_map(at, size, prot, flags, fd, offset);
}

int munmap(void *at, size_t size) {
    arena *it = mine;
    if (it && it->is_lent && at == it->base) {
        it->is_lent = 0;
        return 0;
    }
    return kernel_unmap(at, size);
}

// Memory for password hashes that is mapped once per thread and used again. libsodium maps and
// unmaps its working memory for each hash, and has no door for memory of the caller; clearing and
// faulting in those pages is nearly half of an Argon2id hash of 19 MiB. While a thread has its arena
// armed, an anonymous mapping it asks for is answered with the arena, and unmapping that is free.
// All other mappings, of all threads, go to the kernel as ever.
#pragma once
#include <stdint.h>

/// From here to `ww_arena_disarm` this thread's next anonymous mapping of 1 MiB or more is its
/// arena, as large as was asked for. The arena lives until the thread ends, is not inherited by
/// children and not in core dumps. Its content is NOT cleared between uses.
void ww_arena_arm(void);
/// The end of it; does nothing where nothing is armed.
void ww_arena_disarm(void);
/// How often an arena was lent instead of a new mapping, by all threads.
uint64_t ww_arena_lent(void);
/// How often an arena was mapped, by all threads.
uint64_t ww_arena_mapped(void);

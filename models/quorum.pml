/* The read-index over K Redis members, of which a majority must take a revocation and a majority
 * must answer a check. Checked: S1, as in single.pml.
 * Modelled: commit, publish member by member with lost replies and partitions, crashes of members,
 * closing, fencing of as many members as leave no majority, adopting with a fresh token, two
 * keepers who adopt at the same time, leases that end at any moment. Whoever has fenced enough says
 * so in the row; members are adopted then while nodes still hold leases that lead nowhere.
 * With COPIES the name of a member leads to two processes, and each who asks, publishes, fences or
 * adopts to either, at any moment; the second takes over what the first holds, token included, so
 * often (A4, H4).
 * With SKIPS an adoption goes on without a member, so often; a majority is enough (decision 12).
 * The row says who has no voice: nobody asks it or publishes to it, so whoever fences counts it as
 * fenced and leaves it alone. It keeps what it holds, or has the fresh token, its reply lost.
 * Abstracted: as in single.pml; members of one adoption share one token, which stands for K
 * different ones, because nobody compares tokens of two members.
 * MUTANT_... switches break one rule each; every one must violate the assertion.
 */
#ifndef K
#define K 3
#endif
#ifndef NP
#define NP 1        /* revokers */
#endif
#ifndef NK
#define NK 1        /* keepers, who close and adopt */
#endif
#ifndef MAXEP
#define MAXEP 3     /* epochs */
#endif
#ifndef CRASHES
#define CRASHES 1   /* crashes of members */
#endif
#ifndef CHECKS
#define CHECKS 3
#endif
#ifndef COPIES
#define COPIES 0    /* copies of a member under its name */
#endif
#ifndef SKIPS
#define SKIPS 0     /* members that have no voice, one after the other, the first epoch's too */
#endif
#define PGM 0       /* PostgreSQL, while leases of the epoch before may be left */
#define RDM 1
#define DRAINED 2   /* PostgreSQL alone */
#define MAJORITY (K / 2 + 1)
#ifdef MUTANT_READ_ONE
#define READERS 1
#else
#define READERS MAJORITY
#endif
#ifdef MUTANT_WRITE_ONE
#define WRITERS 1
#else
#define WRITERS MAJORITY
#endif
#ifdef MUTANT_FENCE_ONE
#define FENCED 1
#else
#define FENCED (K - MAJORITY + 1)
#endif
#ifdef MUTANT_SKIPPED_TWICE
#define FENCES(w) (FENCED - ((w) >> K != 0))
#else
#define FENCES(w) FENCED
#endif
#ifdef MUTANT_SILENT_FENCED
#define SILENT 1
#else
#define SILENT 0
#endif
#ifdef MUTANT_CLOSED_DRAINED
#define CLOSED DRAINED
#else
#define CLOSED PGM
#endif

/* The row of the authority, and ghosts. */
byte committed, acked, st = RDM, ep = 1, token = 1, fresh = 1;
/* The processes, two for each member: token and log. */
byte mtok[2 * K], mhas[2 * K];
/* Which process of each member was adopted, one bit each, and above these one for each that has no
 * voice: in the row, and in the node's lease. */
byte who, lwho;
byte skipped;       /* how often one was left without a voice */
/* The one node: lease (an epoch), the token it names, the set in memory. */
byte lease, ltok, mem;

#define AT(k, x) (2 * (k) + (x))
#define SKIPPED(w, k) (((w) >> (K + (k))) & 1)
#define NAMED(w, k, x) ((((w) >> (k)) & 1) == (x))
#define ADOPTED(w, k, x) (!SKIPPED(w, k) && NAMED(w, k, x))
#ifdef MUTANT_STRANGER_PUBLISH
#define TAKES(w, k, x) true
#else
#define TAKES(w, k, x) ADOPTED(w, k, x)
#endif
#ifdef MUTANT_STRANGER_FENCE
#define VOUCHES(w, k, x) true
#else
#define VOUCHES(w, k, x) ADOPTED(w, k, x)
#endif
#ifdef MUTANT_STRANGER_ANSWER
#define ANSWERS(w, k, x) true
#elif defined(MUTANT_SKIPPED_ANSWERS) || defined(MUTANT_SKIPPED_OLD_TOKEN)
#define ANSWERS(w, k, x) NAMED(w, k, x)
#else
#define ANSWERS(w, k, x) ADOPTED(w, k, x)
#endif

#ifdef MUTANT_SKIPPED_OLD_TOKEN
#define SHOWS(w, k, x, t) (mtok[AT(k, x)] != 0 && (mtok[AT(k, x)] == t) != SKIPPED(w, k))
#else
#define SHOWS(w, k, x, t) (mtok[AT(k, x)] == t)
#endif
/* What `adopts` in `plan` wants to see answer a check. */
#if SKIPS > 0
#define LATER(e, w) ((e) > 1 && (w) >> K)
#else
#define LATER(e, w) ((e) > 1)
#endif

#define OLDLEASE(e) (lease != 0 && lease < (e))

inline close_epoch(e) {
  atomic { if :: (ep == e && st == RDM && ep < MAXEP) -> st = CLOSED; ep++ :: else -> skip fi }
}

inline mark_drained(e) {
  if :: (ep == e + 1 && st == PGM) -> st = DRAINED :: else -> skip fi
}

inline publish(x, heard) {
  atomic {
    (mtok[AT(k, x)] == t && TAKES(w, k, x)) ->
    mhas[AT(k, x)] = mhas[AT(k, x)] | me; n = n + heard; k++
  }
}

inline fence(x) {
  atomic {
    !SKIPPED(w, k) ->
    if :: mtok[AT(k, x)] == t -> mtok[AT(k, x)] = 0 :: mtok[AT(k, x)] != t -> skip fi;
    if :: VOUCHES(w, k, x) -> n++ :: else -> skip fi;
    k++
  }
}

inline answer(x) {
  atomic {
    (SHOWS(w, k, x, t) && ANSWERS(w, k, x)) -> got = got | mhas[AT(k, x)]; n++; k++
  }
}

inline adopt(x) {
  atomic { k < K -> mtok[AT(k, x)] = t; mhas[AT(k, x)] = 0; w = w | ((x) << k); n++; k++ }
}

inline skip_member() {
  (k < K && skipped < SKIPS) -> skipped++; w = w | (1 << (K + k))
}

inline adopt_unheard(x) {
  atomic { skip_member(); mtok[AT(k, x)] = t; mhas[AT(k, x)] = 0; w = w | ((x) << k); k++ }
}

inline crash(x) {
  atomic { (c < CRASHES && mtok[x] != 0) -> mtok[x] = 0; mhas[x] = 0; c++ }
}

inline copy(k) {
  atomic {
    (o < COPIES && mtok[AT(k, 0)] != 0) ->
    mtok[AT(k, 1)] = mtok[AT(k, 0)]; mhas[AT(k, 1)] = mhas[AT(k, 0)]; o++
  }
}

proctype Revoker(byte id) {
  byte me = 1 << id, e, s, t, w, k, n;
  bool done = false;
  committed = committed | me;
  do
  :: atomic { done -> e = 0; s = 0; t = 0; w = 0; k = 0; n = 0; break }
  :: else ->
     atomic { e = ep; s = st; t = token; w = who; k = 0; n = 0 };    /* after the commit */
     if
     :: s == RDM ->
        do
        :: k < K ->
           if
           :: publish(0, 1)
           :: publish(0, 0)                                     /* the reply is lost */
#if COPIES > 0
           :: publish(1, 1)
           :: publish(1, 0)
#endif
           :: atomic { k++ }                                    /* refused or unreachable */
           fi
        :: else -> break
        od;
        if
        :: n >= WRITERS -> atomic { acked = acked | me; done = true }
        :: else ->
           atomic { k = 0; n = 0 };
#ifndef NO_FENCE
           do
           :: k < K ->
              if
              :: fence(0)
#if COPIES > 0
              :: fence(1)
#endif
              :: atomic { SKIPPED(w, k) -> n++; k++ }           /* nobody asks it */
              :: atomic { n = n + SILENT; k++ }                 /* unreachable */
              fi
           :: else -> break
           od;
#endif
           close_epoch(e);
           if
           :: n >= FENCES(w) -> atomic { acked = acked | me; done = true; mark_drained(e) }
           :: else -> skip
           fi
        fi
     :: else ->
        if
        :: atomic { (s == DRAINED || !OLDLEASE(e)) -> acked = acked | me; done = true }
        :: (ep != e || st != s) -> skip
        fi
     fi
  od
}

proctype Keeper() {
  byte e, k, t, w, n;
  do
  :: atomic { (st == RDM && ep < MAXEP) -> close_epoch(ep) }    /* false suspicion */
#ifndef NO_FENCE
  /* All at once: who loses its token earlier is the same as one that is not reached. */
  :: atomic {
       (st == RDM && ep < MAXEP) -> e = ep; t = token; w = who; k = 0; n = 0;
       do
       :: k < K ->
          if
          :: VOUCHES(w, k, 0) -> fence(0)
#if COPIES > 0
          :: VOUCHES(w, k, 1) -> fence(1)
#endif
          :: SKIPPED(w, k) -> n++; k++
          :: k - n < K - FENCES(w) -> k++                       /* the others would be too few */
          fi
       :: else -> break
       od;
       close_epoch(e); mark_drained(e);
       e = 0; t = 0; w = 0; k = 0; n = 0
     }
#endif
  :: atomic {
       (ep < MAXEP && (st == DRAINED || st == PGM && !OLDLEASE(ep))) ->
       e = ep; k = 0; w = 0; n = 0
     };
#ifdef MUTANT_TOKEN_IS_EPOCH
     t = e + 1;
#else
     atomic { fresh++; t = fresh };                             /* random, per attempt */
#endif
     do
     :: adopt(0)
#if COPIES > 0
     :: adopt(1)
#endif
     :: adopt_unheard(0)
#if COPIES > 0
     :: adopt_unheard(1)
#endif
     :: atomic { skip_member(); k++ }                           /* away, or unfit */
     :: k >= K -> break
     od;
     atomic {
       if
       :: (st != RDM && ep == e && n >= MAJORITY) -> st = RDM; ep = e + 1; token = t; who = w
       :: else -> skip
       fi;
       e = 0; k = 0; t = 0; w = 0; n = 0
     }
  :: break
  od
}

/* Crashes of members, their copies, and the ends of leases. */
proctype World() {
  byte c = 0, o = 0;
  do
  :: atomic { lease != 0 -> lease = 0 }
  :: crash(AT(0, 0))
#if K > 1
  :: crash(AT(1, 0))
  :: crash(AT(2, 0))
#endif
#if COPIES > 0
  :: copy(0)
#if K > 1
  :: copy(1)
  :: copy(2)
#endif
#endif
  od
}

proctype Node() {
  byte e, t, w, k, s, n, got, c = 0;
  do
  :: c < CHECKS ->
     atomic { c++; s = acked };                                 /* arrival; the batch is closed */
     atomic { e = lease; t = ltok; w = lwho; k = 0; n = 0; got = 0 };    /* the one test of it */
     if
     :: e != 0 ->
        do
        :: k < K ->
           if
           :: answer(0)
#if COPIES > 0
           :: answer(1)
#endif
           :: atomic { k++ }
           fi
        :: else -> break
        od
     :: else -> skip
     fi;
     if
     :: atomic { (n >= READERS && !LATER(e, w)) -> mem = mem | got }
     :: atomic { (n >= READERS && LATER(e, w)) -> mem = mem | got; e = e }    /* models/run */
     :: else ->
        atomic {
          mem = mem | committed;                                /* one snapshot */
          if :: st == RDM -> lease = ep; ltok = token; lwho = who :: else -> lease = 0 fi
        }
     fi;
     assert((s & ~mem) == 0);                                   /* S1 */
     atomic { s = 0; e = 0; t = 0; w = 0; k = 0; n = 0; got = 0 }
  :: c >= CHECKS -> break
  od
}

init {
  byte x = 0;
  atomic {
    do
    :: x < K -> mtok[AT(x, 0)] = 1; x++
    :: (x < K && skipped < SKIPS && skipped < K - MAJORITY) ->
       mtok[AT(x, 0)] = 1; who = who | (1 << (K + x)); skipped++; x++
    :: else -> break
    od;
    lease = 1; ltok = 1; lwho = who;    /* it read all before anything was revoked */
    x = 0;
    do :: x < NP -> run Revoker(x); x++ :: else -> break od;
    x = 0;
    do :: x < NK -> run Keeper(); x++ :: else -> break od;
    run Node();
    run World()
  }
}

/* The read-index over K Redis members, of which a majority must take a revocation and a majority
 * must answer a check. Checked: S1, as in single.pml.
 * Modelled: commit, publish member by member with lost replies and partitions, crashes of members,
 * closing, fencing of as many members as leave no majority, adopting with a fresh token, two
 * keepers who adopt at the same time, leases that end at any moment. With COPIES the name of a
 * member leads to two processes, and each who asks, publishes, fences or adopts to either, at any
 * moment; the second takes over what the first holds, token included, so often (A4, H4).
 * Abstracted: as in single.pml; members of one adoption share one token, which stands for K
 * different ones, because nobody compares tokens of two members; a keeper reaches every member.
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
#define PGM 0
#define RDM 1
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

/* The row of the authority, and ghosts. */
byte committed, acked, st = RDM, ep = 1, token = 1, fresh = 1;
/* The processes, two for each member: token and log. */
byte mtok[2 * K], mhas[2 * K];
/* Which process of each member was adopted, one bit each: in the row, and in the node's lease. */
byte who, lwho;
/* The one node: lease (an epoch), the token it names, the set in memory. */
byte lease, ltok, mem;

#define AT(k, x) (2 * (k) + (x))
#define ADOPTED(w, k, x) ((((w) >> (k)) & 1) == (x))
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
#else
#define ANSWERS(w, k, x) ADOPTED(w, k, x)
#endif

#define OLDLEASE(e) (lease != 0 && lease < (e))

inline close_epoch(e) {
  atomic { if :: (ep == e && st == RDM && ep < MAXEP) -> st = PGM; ep++ :: else -> skip fi }
}

inline publish(x, heard) {
  atomic {
    (mtok[AT(k, x)] == t && TAKES(w, k, x)) ->
    mhas[AT(k, x)] = mhas[AT(k, x)] | me; n = n + heard; k++
  }
}

inline fence(x) {
  atomic {
    if :: mtok[AT(k, x)] == t -> mtok[AT(k, x)] = 0 :: mtok[AT(k, x)] != t -> skip fi;
    if :: VOUCHES(w, k, x) -> n++ :: else -> skip fi;
    k++
  }
}

inline answer(x) {
  atomic {
    (mtok[AT(k, x)] == t && ANSWERS(w, k, x)) -> got = got | mhas[AT(k, x)]; n++; k++
  }
}

inline adopt(x) {
  atomic { k < K -> mtok[AT(k, x)] = t; mhas[AT(k, x)] = 0; w = w | ((x) << k); k++ }
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
  :: done -> break
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
              :: atomic { k++ }                                 /* unreachable */
              fi
           :: else -> break
           od;
#endif
           close_epoch(e);
           if
           :: n >= FENCED -> atomic { acked = acked | me; done = true }
           :: else -> skip
           fi
        fi
     :: else ->
        if
        :: atomic { !OLDLEASE(e) -> acked = acked | me; done = true }
        :: ep != e -> skip
        fi
     fi
  od
}

proctype Keeper() {
  byte e, k, t, w;
  do
  :: st == RDM -> e = ep; close_epoch(e)                        /* false suspicion */
  :: atomic { (st == PGM && ep < MAXEP && !OLDLEASE(ep)) -> e = ep; k = 0; w = 0 };
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
     :: k >= K -> break
     od;
     atomic {
       if :: (st == PGM && ep == e) -> st = RDM; ep = e + 1; token = t; who = w :: else -> skip fi
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
     :: atomic { (n >= READERS && e == 1) -> mem = mem | got }
     :: atomic { (n >= READERS && e > 1) -> mem = mem | got; e = e }    /* adopted: models/run */
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
    do :: x < K -> mtok[AT(x, 0)] = 1; x++ :: else -> break od;
    lease = 1; ltok = 1;                /* it read both before anything was revoked */
    x = 0;
    do :: x < NP -> run Revoker(x); x++ :: else -> break od;
    x = 0;
    do :: x < NK -> run Keeper(); x++ :: else -> break od;
    run Node();
    run World()
  }
}

/* The read-index over K Redis members, of which a majority must take a revocation and a majority
 * must answer a check. Checked: S1, as in single.pml.
 * Modelled: commit, publish member by member with lost replies and partitions, crashes of members,
 * closing, fencing of as many members as leave no majority, adopting with a fresh token, two
 * keepers who adopt at the same time, leases that end at any moment.
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
/* The members: token and log. */
byte mtok[K], mhas[K];
/* The one node: lease (an epoch), the token it names, the set in memory. */
byte lease, ltok, mem;

#define OLDLEASE(e) (lease != 0 && lease < (e))

inline close_epoch(e) {
  atomic { if :: (ep == e && st == RDM && ep < MAXEP) -> st = PGM; ep++ :: else -> skip fi }
}

proctype Revoker(byte id) {
  byte me = 1 << id, e, s, t, k, n;
  bool done = false;
  committed = committed | me;
  do
  :: done -> break
  :: else ->
     atomic { e = ep; s = st; t = token; k = 0; n = 0 };        /* after the commit */
     if
     :: s == RDM ->
        do
        :: k < K ->
           if
           :: atomic { mtok[k] == t -> mhas[k] = mhas[k] | me; n++; k++ }
           :: atomic { mtok[k] == t -> mhas[k] = mhas[k] | me; k++ }    /* the reply is lost */
           :: atomic { k++ }                                    /* wrong token or unreachable */
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
              :: atomic { n++; if :: mtok[k] == t -> mtok[k] = 0 :: else -> skip fi; k++ }
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
  byte e, k, t;
  do
  :: st == RDM -> e = ep; close_epoch(e)                        /* false suspicion */
  :: atomic { (st == PGM && ep < MAXEP && !OLDLEASE(ep)) -> e = ep; k = 0 };
#ifdef MUTANT_TOKEN_IS_EPOCH
     t = e + 1;
#else
     atomic { fresh++; t = fresh };                             /* random, per attempt */
#endif
     do
     :: atomic { k < K -> mtok[k] = t; mhas[k] = 0; k++ }
     :: else -> break
     od;
     atomic {
       if :: (st == PGM && ep == e) -> st = RDM; ep = e + 1; token = t :: else -> skip fi
     }
  :: break
  od
}

/* Crashes of members, and the ends of leases. */
proctype World() {
  byte c = 0;
  do
  :: atomic { lease != 0 -> lease = 0 }
  :: atomic { (c < CRASHES && mtok[0] != 0) -> mtok[0] = 0; mhas[0] = 0; c++ }
#if K > 1
  :: atomic { (c < CRASHES && mtok[1] != 0) -> mtok[1] = 0; mhas[1] = 0; c++ }
  :: atomic { (c < CRASHES && mtok[2] != 0) -> mtok[2] = 0; mhas[2] = 0; c++ }
#endif
  od
}

proctype Node() {
  byte e, t, k, s, n, got, c = 0;
  do
  :: c < CHECKS ->
     atomic { c++; s = acked };                                 /* arrival; the batch is closed */
     atomic { e = lease; t = ltok; k = 0; n = 0; got = 0 };     /* the one test of the lease */
     if
     :: e != 0 ->
        do
        :: k < K ->
           if
           :: atomic { mtok[k] == t -> got = got | mhas[k]; n++; k++ }
           :: atomic { k++ }
           fi
        :: else -> break
        od
     :: else -> skip
     fi;
     if
     :: n >= READERS -> mem = mem | got
     :: else ->
        atomic {
          mem = mem | committed;                                /* one snapshot */
          if :: st == RDM -> lease = ep; ltok = token :: else -> lease = 0 fi
        }
     fi;
     assert((s & ~mem) == 0);                                   /* S1 */
     atomic { s = 0; e = 0; t = 0; k = 0; n = 0; got = 0 }
  :: c >= CHECKS -> break
  od
}

init {
  byte x = 0;
  atomic {
    do :: x < K -> mtok[x] = 1; x++ :: else -> break od;
    x = 0;
    do :: x < NP -> run Revoker(x); x++ :: else -> break od;
    x = 0;
    do :: x < NK -> run Keeper(); x++ :: else -> break od;
    run Node();
    run World()
  }
}

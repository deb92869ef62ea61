/* The read-index over one authority at a time: PostgreSQL, or one Redis instance of two that may be
 * adopted. Checked: S1, "what was acknowledged before a check arrived is in the node's memory when
 * the check is answered".
 * Modelled: commit, publish, lost replies, partitions, crash of an instance (comes back empty),
 * false suspicion, closing and adopting of epochs, fencing, leases that end at any moment, restart
 * of a node.
 * Abstracted: a revocation is one bit; time is gone, so "wait a lease" reads "wait until no older
 * lease exists"; a statement or script is one atomic step; positions and trimming, failover of
 * PostgreSQL (postgres.pml has it) and clock rates are not modelled; liveness is not checked.
 * MUTANT_... switches break one rule each; every one must violate the assertion.
 */
#ifndef NP
#define NP 1        /* revokers */
#endif
#ifndef NR
#define NR 1        /* nodes */
#endif
#ifndef MAXEP
#define MAXEP 4     /* epochs */
#endif
#ifndef CHECKS
#define CHECKS 3    /* checks that each node answers */
#endif
#define PGM 0       /* draining or pg: the two differ only in how long one waits */
#define RDM 1

/* The row of the authority, and ghosts: what is committed, what was acknowledged. */
byte committed, acked, st = RDM, ep = 1, inst = 0;
/* The instances: the token (here the epoch it was made for), and the log. */
byte inc[2], has[2];
/* The nodes: lease (an epoch, 0 for none), its instance, the set in memory. */
byte lease[NR], linst[NR], mem[NR];
#ifdef MUTANT_REPLICA
byte copy[2];       /* what a lagging replica of each instance has */
#endif

#if NR > 1
#define OLDLEASE(e) ((lease[0] != 0 && lease[0] < (e)) || (lease[1] != 0 && lease[1] < (e)))
#else
#define OLDLEASE(e) (lease[0] != 0 && lease[0] < (e))
#endif

#ifdef MUTANT_NO_TOKEN
#define VALID(k, e) true
#else
#define VALID(k, e) (inc[k] == (e))
#endif

inline close_epoch(e) {
  atomic { if :: (ep == e && st == RDM && ep < MAXEP) -> st = PGM; ep++ :: else -> skip fi }
}

inline read_authority() { atomic { e = ep; s = st; k = inst } }

proctype Revoker(byte id) {
  byte me = 1 << id, e, s, k;
  bool done = false, ok;
#ifdef MUTANT_AUTHORITY_FIRST
  read_authority();
  committed = committed | me;
#else
  committed = committed | me;
  read_authority();
#endif
  do
  :: done -> break
  :: else ->
     if
     :: s == RDM ->
        if      /* published; published and the reply lost; unreachable */
        :: atomic { ok = false; if :: VALID(k, e) -> has[k] = has[k] | me; ok = true :: else -> skip fi }
        :: atomic { ok = false; if :: VALID(k, e) -> has[k] = has[k] | me :: else -> skip fi }
        :: ok = false
        fi;
        if
        :: ok -> atomic { acked = acked | me; done = true }
        :: else ->
           if
           :: atomic { inc[k] == e -> inc[k] = 0 };             /* fenced: nobody need wait */
              close_epoch(e);
              atomic { acked = acked | me; done = true }
           :: close_epoch(e)
           fi
        fi
     :: else ->
#ifdef MUTANT_ACK_AT_ONCE
        atomic { acked = acked | me; done = true }
#else
        if
        :: atomic { !OLDLEASE(e) -> acked = acked | me; done = true }   /* drained */
        :: ep != e -> skip
        fi
#endif
     fi;
     if :: done -> skip :: else -> read_authority() fi
  od
}

proctype Keeper() {
  byte e, k;
  do
  :: st == RDM -> e = ep; close_epoch(e)                        /* false suspicion */
#ifdef MUTANT_ADOPT_AT_ONCE
  :: atomic { (st == PGM && ep < MAXEP) -> e = ep };
#else
  :: atomic { (st == PGM && ep < MAXEP && !OLDLEASE(ep)) -> e = ep };
#endif
     if :: k = 0 :: k = 1 fi;
     atomic { inc[k] = e + 1; has[k] = 0 };
     atomic {
       if :: (st == PGM && ep == e) -> st = RDM; ep = e + 1; inst = k :: else -> skip fi
     }
#ifdef MUTANT_REPLICA
  :: if :: k = 0 :: k = 1 fi;
     if :: copy[k] = has[k] :: has[k] = copy[k] fi              /* lags; is promoted */
#endif
  :: atomic { inc[0] != 0 -> inc[0] = 0; has[0] = 0 }           /* crash: empty, no token */
  :: break
  od
}

/* Leases end at any moment, also in the midst of a check that has tested its own. */
proctype Clock() {
  do
  :: atomic { lease[0] != 0 -> lease[0] = 0 }
#if NR > 1
  :: atomic { lease[1] != 0 -> lease[1] = 0 }
#endif
  od
}

proctype Node(byte i) {
  byte e, k, s, n = 0;
  bool good;
  do
  :: n < CHECKS ->
     n++;
     s = acked;                                                 /* arrival; the batch is closed */
     good = false;
     atomic { e = lease[i]; k = linst[i] };                     /* the one test of the lease */
     if
     :: e != 0 -> atomic {
          if
          :: VALID(k, e) -> mem[i] = mem[i] | has[k]; good = true
          :: else -> skip
          fi;
          if :: (good && e > 1) -> e = e :: else -> skip fi }           /* adopted: models/run */
     :: true -> skip                                            /* none, or unreachable */
     fi;
     if
     :: good -> skip
     :: else ->
#ifdef MUTANT_TWO_SNAPSHOTS
        mem[i] = mem[i] | committed;
        atomic { if :: st == RDM -> lease[i] = ep; linst[i] = inst :: else -> lease[i] = 0 fi }
#else
        atomic {
          mem[i] = mem[i] | committed;                          /* one snapshot */
          if :: st == RDM -> lease[i] = ep; linst[i] = inst :: else -> lease[i] = 0 fi
        }
#endif
     fi;
#ifdef MUTANT_JOIN_INFLIGHT
     if :: s = acked :: skip fi;        /* one who came after the read was sent is answered */
#endif
     assert((s & ~mem[i]) == 0);                                /* S1 */
     atomic { s = 0; e = 0; k = 0; good = false }
  :: n < CHECKS -> atomic { n++; lease[i] = 0; mem[i] = 0 }     /* restart */
  :: n >= CHECKS -> break
  od
}

init {
  byte x = 0;
  atomic {
    inc[0] = 1;
    /* The nodes read both before anything was revoked. */
    do :: x < NR -> lease[x] = 1; x++ :: else -> break od;
    x = 0;
    do :: x < NP -> run Revoker(x); x++ :: else -> break od;
    x = 0;
    do :: x < NR -> run Node(x); x++ :: else -> break od;
    run Keeper();
    run Clock()
  }
}

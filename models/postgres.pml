/* The read-index over PostgreSQL alone, which is the default: the cursor by xmin, two batches on
 * the wire, and a failover that loses what was not acknowledged and gives its numbers out again.
 * Checked: S1, as in single.pml.
 * Modelled: ids and xids taken in one order and committed in another, snapshots, two concurrent
 * batches that share cursor and set, timelines, failover (A1: acknowledged commits survive; A2: one
 * primary at a time), restart of the node. With GLANCE also the node that asks for the snapshot
 * alone while nothing happens (docs/decisions/0014): what it compares and when a reading counts.
 * Abstracted: a revocation is one bit; a statement is one atomic step; a reading of another
 * timeline is followed by a reading of everything; re-insertion after a loss (H7) is not needed
 * under A1 and not modelled; expiry is not modelled.
 * MUTANT_... switches break one rule each; every one must violate the assertion.
 */
#ifndef NP
#define NP 3        /* revokers */
#endif
#ifndef NB
#define NB 2        /* batches on the wire at once */
#endif
#ifndef CHECKS
#define CHECKS 2    /* readings that each slot makes */
#endif
#ifndef FAILOVERS
#define FAILOVERS 1
#endif
#define BIT(r) (1 << (r))

/* PostgreSQL: xid (also the id) of each revocation, who is open, who is committed; ghost: acked. */
byte xid[NP], open, committed, acked, next = 1, timeline = 1;
/* The node: cursor, the timeline it belongs to (0: none), the set in memory. */
byte low, known, mem;
#ifdef GLANCE
/* xmax, and the last snapshot all of whose rows are in the set: its timeline (0: none), its xmax,
 * who ran below that. Quiet: the last reading found the snapshot of the one before. */
byte done = 1, ctl, cdone, copen;
bool quiet;
#endif

inline xmin_of(into) {
  into = next; r = 0;
  do
  :: r < NP -> if :: ((open & BIT(r)) && xid[r] < into) -> into = xid[r] :: else -> skip fi; r++
  :: else -> break
  od
}

#ifdef GLANCE
/* Beside xmax, what tells one snapshot of a history from another: who runs below it. */
inline shows(into) {
#ifdef MUTANT_GLANCE_ENDS
  xmin_of(into)
#else
  into = 0; r = 0;
  do
  :: r < NP ->
     if :: ((open & BIT(r)) && xid[r] < done) -> into = into | BIT(r) :: else -> skip fi; r++
  :: else -> break
  od
#endif
}
#endif

proctype Revoker(byte id) {
  byte t;
  atomic { t = timeline; xid[id] = next; next++; open = open | BIT(id) };
#ifdef MUTANT_ACK_EARLY
  acked = acked | BIT(id);
#endif
  atomic {
    if
    :: t == timeline ->
       open = open & ~BIT(id); committed = committed | BIT(id);
#ifdef GLANCE
       if :: xid[id] >= done -> done = xid[id] + 1 :: else -> skip fi
#endif
    :: else -> goto lost
    fi
  };
#ifndef MUTANT_ACK_EARLY
  atomic { if :: (committed & BIT(id)) && t == timeline -> acked = acked | BIT(id) :: else -> skip fi };
#endif
lost:
  skip
}

/* A standby is promoted: it has every acknowledged row, and any of the others. */
proctype Failover() {
  byte r, n = 0, high;
  do
  :: n < FAILOVERS ->
     atomic {
       n++; timeline++; open = 0; high = 0; r = 0;
       do
       :: r < NP ->
          if
          :: (committed & BIT(r)) && !(acked & BIT(r)) -> committed = committed & ~BIT(r)
          :: true -> skip
          fi;
          if :: ((committed & BIT(r)) && xid[r] > high) -> high = xid[r] :: else -> skip fi;
          r++
       :: else -> break
       od;
       next = high + 1;
#ifdef GLANCE
       done = next;
#endif
       high = 0; r = 0
     }
  :: n >= FAILOVERS -> break
  :: break
  od
}

proctype Batch() {
  byte c = 0, r, s, from, tl, rows, nl, on;
#ifdef GLANCE
  byte sd, so;
#endif
  bool whole;
  do
  :: c < CHECKS ->
     atomic { c++; s = acked; from = low; on = known; whole = (known == 0) };    /* closed */
#ifdef GLANCE
     if
     :: (!whole && quiet) ->
        atomic { tl = timeline; rows = 0; xmin_of(nl); sd = done; shows(so); r = 0 };
        if
        :: (tl == ctl && sd == cdone && so == copen) -> goto learned
        :: else -> skip
        fi
     :: else -> skip
     fi;
#endif
read:
     atomic {                                                   /* the statement: one snapshot */
       tl = timeline; rows = 0;
       xmin_of(nl);
#ifdef GLANCE
       sd = done; shows(so);
#endif
       r = 0;
       do
       :: r < NP ->
          if
#ifdef MUTANT_UPPER_BOUND
          :: ((committed & BIT(r)) && (whole || xid[r] >= from) && xid[r] < nl) ->
#else
          :: ((committed & BIT(r)) && (whole || xid[r] >= from)) ->
#endif
             rows = rows | BIT(r)
          :: else -> skip
          fi;
          r++
       :: else -> break
       od;
#ifdef MUTANT_ID_CURSOR
       nl = from; r = 0;
       do
       :: r < NP ->
          if :: ((rows & BIT(r)) && xid[r] >= nl) -> nl = xid[r] + 1 :: else -> skip fi; r++
       :: else -> break
       od;
#endif
       r = 0
     };
#ifdef GLANCE
learned:
#ifndef MUTANT_GLANCE_FIRST
     mem = mem | rows;                   /* in the set before the reading counts as covered */
#endif
     atomic {
       if
       :: (!whole && tl != on) -> ctl = 0; quiet = false        /* a cursor of another history */
       :: else ->
          quiet = (tl == ctl && sd == cdone && so == copen);
          ctl = tl; cdone = sd; copen = so
       fi
     };
#endif
#ifdef MUTANT_JOIN_INFLIGHT
     if :: s = acked :: skip fi;
#endif
#ifndef MUTANT_NO_TIMELINE
     /* A cursor of one history says nothing in another. */
     if
     :: (!whole && (tl != on || tl != known)) -> whole = true; goto read
     :: else -> skip
     fi;
#endif
#ifdef MUTANT_CURSOR_FIRST
     atomic { if :: (known != tl || nl > low) -> low = nl; known = tl :: else -> skip fi };
     mem = mem | rows;
#else
     atomic {
       mem = mem | rows;
       if :: (known != tl || nl > low) -> low = nl; known = tl :: else -> skip fi
     };
#endif
     assert((s & ~mem) == 0);                                   /* S1 */
     atomic { s = 0; from = 0; rows = 0; nl = 0; on = 0; tl = 0; whole = false };
#ifdef GLANCE
     atomic { sd = 0; so = 0 }
#endif
  :: c >= CHECKS -> break
  od
}

init {
  byte x = 0;
  atomic {
    do :: x < NP -> run Revoker(x); x++ :: else -> break od;
    x = 0;
    do :: x < NB -> run Batch(); x++ :: else -> break od;
    run Failover()
  }
}

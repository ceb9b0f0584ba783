// Few rows on several threads: the units of a step are shared out, and a step begins when all have done the one before.
//
// A step's wait is short as long as every thread has a core. Where another program takes one, a step can wait for a turn
// of the processor; so one of the team, the leader, begins without the others, and when it has waited for about the time
// that all would have taken it alone, it goes on alone.

// Waits a little, longer where it has been long already; how long it was, in pauses.
inline int64_t pause_after(int64_t waited) {
  if (waited >= 2000) {  // some 30 µs
    sched_yield();
    return 20;
  }
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
  return 1;
}

// The first unit of a member: whole blocks, so that each is in one part.
inline int64_t first_unit(const Team& team, int64_t member, int64_t H) {
  constexpr int64_t block = 2 * RECURRA_BYTES / sizeof(float);
  const int64_t blocks = (H + block - 1) / block, first = blocks * member / team.members * block;
  return first < H ? first : H;
}

template <typename Body>
void lead(Team& team, int64_t phases, int64_t H, const Body& body) {
  const int64_t helpers = team.members - 1;
  bool together = false;
  int64_t shared = 0, waited = 0;
  for (int64_t phase = 0; phase < phases; ++phase) {
    if (!together && !team.tired) together = team.come.load(std::memory_order_acquire) == helpers;
    if (!together) {
      body(phase, int64_t(0), H);
      continue;
    }
    team.begun.store(2 * (phase + 1), std::memory_order_release);
    body(phase, int64_t(0), first_unit(team, 1, H));
    int64_t now = 0;
    for (++shared; team.done.load(std::memory_order_acquire) < shared * helpers;) now += pause_after(now);
    waited += now;
    if (waited <= team.patience) continue;
    team.tired = true;
    together = false;
    team.begun.store(2 * phase + 3, std::memory_order_release);
  }
  team.begun.store(2 * phases + 1, std::memory_order_release);
}

template <typename Body>
void help(Team& team, int64_t member, int64_t H, const Body& body) {
  team.come.fetch_add(1, std::memory_order_acq_rel);
  for (int64_t seen = 0;;) {
    int64_t begun = 0, waited = 0;
    while ((begun = team.begun.load(std::memory_order_acquire)) == seen) waited += pause_after(waited);
    if (begun & 1) return;
    seen = begun;
    body(begun / 2 - 1, first_unit(team, member, H), first_unit(team, member + 1, H));
    team.done.fetch_add(1, std::memory_order_acq_rel);
  }
}

// body(phase, first unit, end of the units) for each phase from 0 on, each when all of the one before is done.
template <typename Body>
inline void in_phases(Share share, int64_t phases, int64_t H, const Body& body) {
  if (share.team == nullptr) {
    for (int64_t phase = 0; phase < phases; ++phase) body(phase, int64_t(0), H);
  } else if (share.member == 0) {
    lead(*share.team, phases, H, body);
  } else {
    help(*share.team, share.member, H, body);
  }
}

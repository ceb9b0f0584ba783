// What the chains have in common that compute whole rows at a time: the product with the weights goes into a buffer
// first and the gates are computed there. A normalised sum needs all of its row, and the others lose nothing by it.

// body(t, start, last) for the steps of a share in their order: step t has the share's rows share.first … last − 1, and
// `start` steps of all rows stand before it.
template <typename Body>
inline void forwards(const Sequences& s, Share share, const Body& body) {
  for (int64_t t = 0, start = 0; t < s.steps; start += s.active[t++]) {
    const int64_t last = last_of(s, share, t);
    if (last == share.first) return;
    body(t, start, last);
  }
}

// The same from the last step to the first.
template <typename Body>
inline void backwards(const Sequences& s, Share share, const Body& body) {
  int64_t start = 0;
  for (int64_t t = 0; t < s.steps; ++t) start += s.active[t];
  for (int64_t t = s.steps - 1; t >= 0; --t) {
    start -= s.active[t];
    const int64_t last = last_of(s, share, t);
    if (last > share.first) body(t, start, last);
  }
}

// body(t, start, last, from, to) in the same order for the units from … to − 1 of a step, which may be another thread's
// for others.
template <typename Body>
inline void forwards_by_units(const Sequences& s, Share share, const Body& body) {
  int64_t steps = s.steps, at = 0, start = 0;
  while (steps > 0 && s.active[steps - 1] <= share.first) --steps;
  in_phases(share, steps, s.hidden_size, [&](int64_t t, int64_t from, int64_t to) {
    for (; at < t; ++at) start += s.active[at];
    body(t, start, last_of(s, share, t), from, to);
  });
}

// From the last step to the first: gates(t, start, last, from, to) of a step's own gradients for some of its units, then
// back(…) of what goes from those of all units to the step before.
template <typename Gates, typename Back>
inline void backwards_by_units(const Sequences& s, Share share, const Gates& gates, const Back& back) {
  int64_t steps = s.steps, at = s.steps, start = 0;
  for (int64_t t = 0; t < s.steps; ++t) start += s.active[t];
  while (steps > 0 && s.active[steps - 1] <= share.first) --steps;
  const auto found = [&](int64_t t) {
    while (at > t) start -= s.active[--at];
    return start;
  };
  in_phases(share, steps == 0 ? 0 : steps + 1, s.hidden_size, [&](int64_t phase, int64_t from, int64_t to) {
    const int64_t t = steps - 1 - phase;
    if (phase > 0) back(t + 1, found(t + 1), last_of(s, share, t + 1), from, to);
    if (t >= 0) gates(t, found(t), last_of(s, share, t), from, to);
  });
}

// What step t reads: rows of `size` numbers, the initial ones or those of the step before in `all`.
template <typename T>
inline const T* before(const Sequences& s, int64_t t, int64_t start, const T* initial, const T* all, int64_t size) {
  return t == 0 ? initial : all + (start - s.active[t - 1]) * size;
}

// body(at, wide) for `wide` numbers from `at` on, a register at a time, over first … end − 1.
template <typename T, typename Body>
inline void in_lanes(int64_t first, int64_t end, const Body& body) {
  constexpr int64_t lanes = Width<T>::lanes;
  int64_t at = first;
  for (; at + lanes <= end; at += lanes) body(at, lanes);
  if (at < end) body(at, end - at);
}

// to += what, `wide` numbers.
template <typename T>
inline void add(T* to, Lanes<T> what, int64_t wide) {
  store(to, load(to, wide) + what, wide);
}

// max(0, x), where NaN stays.
template <typename T>
inline Lanes<T> rectified(Lanes<T> x) {
  return x < 0 ? Lanes<T>{} : x;
}

// Weights [N, K] → [blocks of N][words of K][2][lanes], so that add_columns takes rows of K numbers to rows of N.
template <typename T, bool halved>
void pack_rows(const void* weights, int64_t K, int64_t N, T* packed) {
  constexpr int64_t lanes = Width<T>::lanes;
  for (int64_t block = 0; block < blocks_of(N, 2 * lanes); ++block, packed += words_of<halved>(K) * 2 * lanes) {
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t row = (2 * block + half) * lanes;
      pack_lanes<T, halved>(ahead<halved, T>(weights, row * K), N - row, K, 2 * lanes, packed + half * lanes);
    }
  }
}

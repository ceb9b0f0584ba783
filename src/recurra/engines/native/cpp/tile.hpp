// A tile of the product of rows with packed weights, held in registers; and how weights are packed for it.

// Of a tile's function: inlined into a larger one, its sums may lose their registers.
#define RECURRA_APART __attribute__((noinline))

// How many rows a tile has, so that rows × columns of sums and a column of weights fit the registers.
template <int columns>
constexpr int tallest() {
  return (RECURRA_REGISTERS == 32 ? 24 : 12) / columns;
}

// sums[row][column] += rows · weights. rows: `count` numbers each, `stride` apart; weights: [count][columns][lanes].
// Few sums would wait for each other, so then several steps of `count` go side by side.
template <int R, int C, typename T>
inline void add_product(const T* rows, int64_t stride, const T* weights, int64_t count, Lanes<T> (&sums)[R][C]) {
  constexpr int lanes = Width<T>::lanes;
  constexpr int chains = R * C >= 8 ? 1 : R * C >= 4 ? 2 : 4;
  Lanes<T> all[chains][R][C] = {};
  int64_t k = 0;
  for (; k + chains <= count; k += chains) {
#pragma GCC unroll 4
    for (int chain = 0; chain < chains; ++chain) {
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        const Lanes<T> weight = load(weights + ((k + chain) * C + c) * lanes);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) all[chain][r][c] += rows[r * stride + k + chain] * weight;
      }
    }
  }
  for (; k < count; ++k) {
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
      const Lanes<T> weight = load(weights + (k * C + c) * lanes);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) all[0][r][c] += rows[r * stride + k] * weight;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 4
      for (int chain = 0; chain < chains; ++chain) sums[r][c] += all[chain][r][c];
    }
  }
}

// Weights of 16 bits (bfloat16) stand two steps of `count` in a word, the earlier one in its low half. Widened they are
// float32 numbers, and all goes on as with those.
inline Lanes<float> earlier(const float* pair) { return reinterpret_cast<Lanes<float>>(words(pair) << 16); }
inline Lanes<float> later(const float* pair) { return reinterpret_cast<Lanes<float>>(words(pair) & 0xFFFF0000u); }

template <typename T>
inline Lanes<T> whole(const T* from) {
  return load(from);
}

// Words for `count` steps.
template <bool halved>
constexpr int64_t words_of(int64_t count) {
  return halved ? (count + 1) / 2 : count;
}

// One step of `count` of add_in_order.
template <int R, int blocks, int C, auto widened, typename T>
inline void add_one(const T* rows, int64_t stride, const T* weights, int64_t apart, Lanes<T> (&sums)[R][blocks][C]) {
  Lanes<T> some[blocks][C];
#pragma GCC unroll 4
  for (int block = 0; block < blocks; ++block) {
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) some[block][c] = widened(weights + block * apart + c * Width<T>::lanes);
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    const T number = rows[r * stride];
#pragma GCC unroll 4
    for (int block = 0; block < blocks; ++block) {
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) sums[r][block][c] += number * some[block][c];
    }
  }
}

// As add_product for `blocks` of weights side by side, `apart` numbers from each other, and every sum in the order of
// `count`: a row's sums are then the same bits in a tile of any shape, so on any number of threads.
template <int R, int blocks, int C, bool halved, typename T>
inline void add_in_order(const T* rows, int64_t stride, const T* weights, int64_t apart, int64_t count,
                         Lanes<T> (&sums)[R][blocks][C]) {
  int64_t k = 0;
  if constexpr (halved) {
    for (; k + 2 <= count; k += 2, weights += C * Width<T>::lanes) {
      add_one<R, blocks, C, earlier>(rows + k, stride, weights, apart, sums);
      add_one<R, blocks, C, later>(rows + k + 1, stride, weights, apart, sums);
    }
    if (k < count) add_one<R, blocks, C, earlier>(rows + k, stride, weights, apart, sums);
  } else {
    for (; k < count; ++k, weights += C * Width<T>::lanes) {
      add_one<R, blocks, C, whole<T>>(rows + k, stride, weights, apart, sums);
    }
  }
}

// body.rows<count>(first).
template <int R, typename Body>
inline void one_tile(const Body& body, int64_t first, int64_t count) {
  if constexpr (R > 1) {
    if (count < R) return one_tile<R - 1>(body, first, count);
  }
  body.template rows<R>(first);
}

// body.rows<count>(first) over rows first … end, in as few tiles of R rows at most as there can be, all about as tall.
template <int R, typename Body>
inline void in_tiles(const Body& body, int64_t first, int64_t end) {
  for (int64_t tiles = (end - first + R - 1) / R; tiles > 0; --tiles) {
    const int64_t count = (end - first + tiles - 1) / tiles;
    one_tile<R>(body, first, count);
    first += count;
  }
}

inline int64_t blocks_of(int64_t size, int64_t block) { return (size + block - 1) / block; }

// Word `k` of `K` weights that stand `apart` numbers from each other; `from` is to T, or halved to 16 bits.
template <bool halved, typename T>
inline T word(const void* from, int64_t apart, int64_t k, int64_t K) {
  if constexpr (halved) {
    const uint16_t* at = static_cast<const uint16_t*>(from) + 2 * k * apart;
    const uint32_t pair = at[0] | (2 * k + 1 < K ? uint32_t(at[apart]) << 16 : 0u);
    T both;
    memcpy(&both, &pair, sizeof both);
    return both;
  } else {
    return static_cast<const T*>(from)[k * apart];
  }
}

template <bool halved, typename T>
inline const void* ahead(const void* from, int64_t numbers) {
  return static_cast<const char*>(from) + numbers * (halved ? 2 : sizeof(T));
}

// Up to `lanes` rows of K weights each, from `weights` on → [words of K][lanes], those words `apart` numbers from each
// other; where there are fewer rows, the rest is zero. Some words at a time, so that what is written stays near.
template <typename T, bool halved>
void pack_lanes(const void* weights, int64_t rows, int64_t K, int64_t apart, T* packed) {
  constexpr int64_t lanes = Width<T>::lanes, some = 16;
  for (int64_t first = 0; first < words_of<halved>(K); first += some) {
    const int64_t last = first + some < words_of<halved>(K) ? first + some : words_of<halved>(K);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const void* row = ahead<halved, T>(weights, lane * K);
      if (lane < rows) {
        for (int64_t k = first; k < last; ++k) packed[k * apart + lane] = word<halved, T>(row, 1, k, K);
      } else {
        for (int64_t k = first; k < last; ++k) packed[k * apart + lane] = 0;
      }
    }
  }
}

// weights [gates · H, K] and bias [gates · H], or null for zeros → [blocks of H][1 + words of K][gates][lanes]; the bias,
// of whole words, comes first in a block, and the units that the last block has too many are zero.
template <typename T, bool halved>
void pack_gates(const void* weights, const T* bias, int64_t gates, int64_t H, int64_t K, T* packed) {
  constexpr int64_t lanes = Width<T>::lanes;
  const int64_t apart = gates * lanes;
  for (int64_t unit = 0; unit < H; unit += lanes, packed += (1 + words_of<halved>(K)) * apart) {
    for (int64_t gate = 0; gate < gates; ++gate) {
      const int64_t row = gate * H + unit;
      T* to = packed + gate * lanes;
      store(to, bias == nullptr ? Lanes<T>{} : load(bias + row, H - unit), lanes);
      pack_lanes<T, halved>(ahead<halved, T>(weights, row * K), H - unit, K, apart, to + apart);
    }
  }
}

// weights [K, H] → [blocks of H][words of K][2][lanes], for the way back.
template <typename T, bool halved>
void pack_columns(const void* weights, int64_t K, int64_t H, T* packed) {
  constexpr int64_t wide = 2 * Width<T>::lanes;
  for (int64_t block = 0; block < blocks_of(H, wide); ++block) {
    for (int64_t k = 0; k < words_of<halved>(K); ++k) {
      for (int64_t lane = 0; lane < wide; ++lane) {
        const int64_t unit = block * wide + lane;
        *packed++ = unit >= H ? T(0) : word<halved, T>(ahead<halved, T>(weights, unit), H, k, K);
      }
    }
  }
}

// to [rows, H] += from [rows, K] · weights, as pack_columns left them, for `blocks` of them from `start` on; the rows of
// `from` are `apart` numbers from each other.
template <typename T, int blocks, bool halved>
struct AddColumns {
  const T* from;
  const T* packed;
  T* to;
  int64_t apart, K, H, start;

  template <int R>
  RECURRA_APART void rows(int64_t first) const {
    constexpr int64_t lanes = Width<T>::lanes;
    Lanes<T> sums[R][blocks][2] = {};
    add_in_order<R, blocks, 2, halved, T>(from + first * apart, apart, packed, 2 * lanes * words_of<halved>(K), K, sums);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int block = 0; block < blocks; ++block) {
#pragma GCC unroll 2
        for (int c = 0; c < 2; ++c) {
          const int64_t at = start + (2 * block + c) * lanes;
          T* place = to + (first + r) * H + at;
          if (at < H) store(place, load(place, H - at) + sums[r][block][c], H - at);
        }
      }
    }
  }
};

// For the columns begin … end − 1, from a whole block on. Few rows take four blocks at once, as their few sums would
// wait for each other.
template <bool halved, typename T>
inline void add_columns_of(const T* from, int64_t apart, const T* packed, T* to, int64_t first, int64_t last, int64_t K,
                           int64_t H, int64_t begin, int64_t end) {
  constexpr int64_t wide = 2 * Width<T>::lanes;
  const int64_t block = wide * words_of<halved>(K);
  int64_t start = begin;
  packed += begin / wide * block;
  if (last - first <= tallest<8>()) {
    for (; start + 3 * wide < end; start += 4 * wide, packed += 4 * block) {
      in_tiles<tallest<8>()>(AddColumns<T, 4, halved>{from, packed, to, apart, K, H, start}, first, last);
    }
  }
  for (; start < end; start += wide, packed += block) {
    in_tiles<tallest<2>()>(AddColumns<T, 1, halved>{from, packed, to, apart, K, H, start}, first, last);
  }
}

// body of std::true_type where weights are of 16 bits, which is of float alone, else of std::false_type.
template <typename T, typename Body>
inline void for_weights(bool halved, const Body& body) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (halved) return body(std::true_type{});
  }
  body(std::false_type{});
}

template <typename T>
inline void add_columns(const Sequences& s, const T* from, const T* packed, T* to, int64_t first, int64_t last,
                        int64_t K, int64_t H, int64_t apart, int64_t begin, int64_t end) {
  for_weights<T>(s.halved, [&](auto halved) {
    add_columns_of<halved.value>(from, apart, packed, to, first, last, K, H, begin, end);
  });
}

template <typename T>
inline void add_columns(const Sequences& s, const T* from, const T* packed, T* to, int64_t first, int64_t last,
                        int64_t K, int64_t H) {
  add_columns(s, from, packed, to, first, last, K, H, K, int64_t(0), H);
}

// How many of a share's rows step t has, from share.first on.
inline int64_t last_of(const Sequences& s, Share share, int64_t t) {
  const int64_t active = t < s.steps ? s.active[t] : 0;
  return active < share.first ? share.first : active < share.last ? active : share.last;
}

// The ends of rows whose last step this was: rows still … last − 1 of `hidden` go to `ends`.
template <typename T>
inline void keep_ends(const T* hidden, T* ends, int64_t still, int64_t last, int64_t H) {
  if (last > still) memcpy(ends + still * H, hidden + still * H, (last - still) * H * sizeof(T));
}

// The units from … to − 1 of them.
template <typename T>
inline void keep_ends(const T* hidden, T* ends, int64_t still, int64_t last, int64_t H, int64_t from, int64_t to) {
  for (int64_t at = still * H + from; still < last; ++still, at += H) {
    memcpy(ends + at, hidden + at, (to - from) * sizeof(T));
  }
}

// Rows times packed weights. Every sum adds up in one order, whatever tile it stands in, so that a row's numbers do not
// depend on the rows beside it, and those of a batch not on how it is shared out.

// Weights [N, K] → [blocks of N][K][2][lanes], as pack_columns lays those of the way back.
template <typename T>
void pack_rows(const T* weights, int64_t K, int64_t N, T* packed) {
  constexpr int64_t wide = 2 * Width<T>::lanes;
  for (int64_t start = 0; start < N; start += wide) {
    for (int64_t k = 0; k < K; ++k) {
      for (int64_t lane = 0; lane < wide; ++lane) {
        *packed++ = start + lane >= N ? T(0) : weights[(start + lane) * K + k];
      }
    }
  }
}

// R rows and B blocks of columns from `start` on, sums in registers: to [R, N] += from [R, K] · weights.
template <int R, int B, typename T>
inline void add_tile(const T* from, const T* packed, T* to, int64_t K, int64_t N, int64_t start) {
  constexpr int64_t lanes = Width<T>::lanes;
  Lanes<T> sums[R][2 * B];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < 2 * B; ++c) {
      const int64_t column = start + c * lanes;
      sums[r][c] = column < N ? load(to + r * N + column, N - column) : Lanes<T>{};
    }
  }
  for (int64_t k = 0; k < K; ++k) {
#pragma GCC unroll 8
    for (int c = 0; c < 2 * B; ++c) {
      const Lanes<T> weight = load(packed + ((c / 2 * K + k) * 2 + c % 2) * lanes);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) sums[r][c] += from[r * K + k] * weight;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < 2 * B; ++c) {
      const int64_t column = start + c * lanes;
      if (column < N) store(to + r * N + column, sums[r][c], N - column);
    }
  }
}

// R rows over all columns. Few rows would wait for their sums, so they take several blocks side by side.
template <int R, typename T>
inline void add_few(const T* from, const T* packed, T* to, int64_t K, int64_t N) {
  constexpr int64_t wide = 2 * Width<T>::lanes;
  constexpr int side = R == 1 ? 4 : R <= 3 ? 2 : 1;
  int64_t start = 0;
  for (; start + (side - 1) * wide < N; start += side * wide) {
    add_tile<R, side>(from, packed + start * K, to, K, N, start);
  }
  if constexpr (side == 4) {
    for (; start + wide < N; start += 2 * wide) add_tile<R, 2>(from, packed + start * K, to, K, N, start);
  }
  for (; start < N; start += wide) add_tile<R, 1>(from, packed + start * K, to, K, N, start);
}

// Rows first … last − 1 of to [rows, N] += from [rows, K] · weights, which pack_rows or pack_columns left.
template <typename T>
inline void add_product_of(const T* from, const T* packed, T* to, int64_t first, int64_t last, int64_t K, int64_t N) {
  constexpr int64_t wide = 2 * Width<T>::lanes;
  constexpr int tall = tallest<2>(), half = 6;
  const int64_t whole = first + (last - first) / half * half;
  for (int64_t start = 0; start < N; start += wide) {  // a block stays near while all rows pass
    int64_t row = first;
    for (; row + tall <= whole; row += tall) {
      add_tile<tall, 1>(from + row * K, packed + start * K, to + row * N, K, N, start);
    }
    if (row < whole) add_tile<half, 1>(from + row * K, packed + start * K, to + row * N, K, N, start);
  }
  const T* rest = from + whole * K;
  T* into = to + whole * N;
  switch (last - whole) {
    case 1: return add_few<1>(rest, packed, into, K, N);
    case 2: return add_few<2>(rest, packed, into, K, N);
    case 3: return add_few<3>(rest, packed, into, K, N);
    case 4: return add_few<4>(rest, packed, into, K, N);
    case 5: return add_few<5>(rest, packed, into, K, N);
  }
}

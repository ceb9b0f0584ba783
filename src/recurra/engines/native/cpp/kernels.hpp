// What a unit offers: every kernel for both number types, compiled for one kind of processor.
#pragma once

#include <atomic>
#include <cstdint>

#include "chains.hpp"
#include "plan.hpp"

// Rows sorted by length, longest first, their steps one after the other: step t holds the first active[t] rows, and
// N = Σ active[t]. Every pointer is to numbers without gaps. threads: as many may work on them. read_size: of the hidden
// state where it is another than hidden_size. halved: the matrices are of bfloat16, the rest is float. apart: numbers
// from one row of a GRU's projected input to the next.
struct Sequences {
  int64_t rows, steps, hidden_size;
  const int64_t* active;
  int64_t threads, read_size, halved, apart;
};

// Threads that compute the same rows, each its own units; see team.hpp. patience: how often the leader may find that it
// has to wait; tired: it had to more often, and went on alone. begun: twice the number of the phase that may be done, or
// an odd number: there are no more. come: how many there are beside the leader; done: phases, by each of those.
struct Team {
  int64_t members, patience;
  bool tired;
  alignas(64) std::atomic<int64_t> begun;
  alignas(64) std::atomic<int64_t> come;
  alignas(64) std::atomic<int64_t> done;
};

// The rows first … last − 1 of the sequences: what one call of a kernel computes, with a team its member's units of them.
// Kernels get pointers to all rows.
struct Share {
  int64_t first, last;
  Team* team;
  int64_t member;
};

// A chain of chains.hpp, its pointers in an array.
using Chain = void (*)(const Sequences&, Share, void* const*);

template <typename T>
struct Kernels {
  int64_t lanes;
  void (*pack_gates)(bool, const void*, const T*, int64_t, int64_t, int64_t, T*);
  void (*pack_columns)(bool, const void*, int64_t, int64_t, T*);
  void (*pack_layer)(int64_t, const T*, const T*, const T*, const T*, int64_t, int64_t, T*);
  void (*step_rows)(const Plan*, int64_t, const int64_t*, T*, const T*, T*);
  void (*step_along)(const Plan*, int64_t, int64_t, T*, const T*, T*);
  int (*step_scaled)(const Plan*, T*, const double*, T*);
  void (*pack_rows)(bool, const void*, int64_t, int64_t, T*);
#define RECURRA_CHAIN(name, by_units) Chain name;
  RECURRA_CHAINS(RECURRA_CHAIN)
#undef RECURRA_CHAIN
};

struct Unit {
  Kernels<float> single;
  Kernels<double> twice;
  void (*pack_narrow)(int64_t, const float*, const float*, const float*, const float*, int64_t, int64_t, void*);
};

extern const Unit portable_unit, avx2_unit, avx512_unit;

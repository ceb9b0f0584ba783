// x86-64 with AVX-512.
#if defined(__x86_64__)
#define RECURRA_UNIT avx512_unit
#define RECURRA_BYTES 64
#define RECURRA_REGISTERS 32
#include "unit.hpp"
#endif

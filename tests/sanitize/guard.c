// An allocator for tests, loaded before the others (LD_PRELOAD): what torch allocates ends at a page that cannot be
// touched, and after it is freed none of it can. So one number read or written too far stops the process there. What
// stands before an allocation in its first page is filled, and looked at when it is freed.
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, BEFORE = 0xA5 };
static const size_t ARENA = (size_t)1 << 42;  // addresses, not memory

extern void* __libc_memalign(size_t, size_t);
extern void __libc_free(void*);

static _Atomic(char*) arena;
static atomic_size_t used, allocations;

static size_t pages_of(size_t size) { return (size + PAGE - 1) / PAGE * PAGE; }

static char* start(void) {
  char* here = atomic_load(&arena);
  if (here != NULL) return here;
  char* mapped = mmap(NULL, ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) {
    perror("guard: no room for addresses");
    abort();
  }
  if (!atomic_compare_exchange_strong(&arena, &here, mapped)) {
    munmap(mapped, ARENA);
    return here;
  }
  return mapped;
}

// Before the pages of an allocation stands one with its size, which can only be read.
int posix_memalign(void** found, size_t alignment, size_t size) {
  if (alignment != 64 || size == 0) {  // others than torch's tensors
    *found = __libc_memalign(alignment, size);
    return *found == NULL ? ENOMEM : 0;
  }
  const size_t pages = pages_of(size), at = atomic_fetch_add(&used, pages + 2 * PAGE);
  if (at + pages + 2 * PAGE > ARENA) return ENOMEM;
  char* first = start() + at;
  if (mprotect(first, PAGE + pages, PROT_READ | PROT_WRITE) != 0) return ENOMEM;
  *(size_t*)first = size;
  memset(first + PAGE, BEFORE, pages - size);
  mprotect(first, PAGE, PROT_READ);
  *found = first + PAGE + pages - size;
  atomic_fetch_add(&allocations, 1);
  return 0;
}

void free(void* pointer) {
  char *here = pointer, *begin = atomic_load(&arena);
  if (begin == NULL || here < begin || here >= begin + ARENA) {
    __libc_free(pointer);
    return;
  }
  char* page = begin + (size_t)(here - begin) / PAGE * PAGE;
  const size_t size = *(size_t*)(page - PAGE), pages = pages_of(size);
  for (unsigned char* byte = (unsigned char*)page; byte < (unsigned char*)here; ++byte) {
    if (*byte != BEFORE) {
      fprintf(stderr, "guard: %ld bytes before an allocation of %zu were written\n", (long)(here - (char*)byte), size);
      abort();
    }
  }
  madvise(page - PAGE, PAGE + pages, MADV_DONTNEED);
  mprotect(page - PAGE, PAGE + pages, PROT_NONE);
}

// How many allocations were guarded, for who runs the tests.
size_t guard_allocations(void) { return atomic_load(&allocations); }

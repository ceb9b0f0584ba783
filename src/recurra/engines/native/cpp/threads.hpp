// Work in parts on threads of the library's own, which wait between calls and are made when they are first needed.
#pragma once

#include <cstdint>

constexpr int64_t MOST_THREADS = 64;

// work(what, part) for each part from 0 to parts − 1, on the calling thread and up to parts − 1 others; returns when
// all are done. Calls at the same time, from several threads or from inside a part, share the threads; each does those of
// its parts that no thread has taken itself, so none waits for a thread to be free.
void in_parts(int64_t parts, void (*work)(const void*, int64_t), const void* what);

template <typename Work>
inline void in_parts(int64_t parts, const Work& work) {
  in_parts(parts, [](const void* what, int64_t part) { (*static_cast<const Work*>(what))(part); }, &work);
}

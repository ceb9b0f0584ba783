#include "threads.hpp"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>

namespace {
struct Pool {
  std::mutex calls;  // held by the call that has the threads
  std::mutex state;  // of all below
  std::condition_variable begun, done;
  int64_t threads = 0, next = 0, parts = 0, left = 0;
  void (*work)(const void*, int64_t) = nullptr;
  const void* what = nullptr;

  // Takes parts as long as there are any; `held` is locked before and after.
  void take(std::unique_lock<std::mutex>& held) {
    while (next < parts) {
      const int64_t part = next++;
      held.unlock();
      work(what, part);
      held.lock();
      if (--left == 0) done.notify_one();
    }
  }

  static void* serve(void* pool) {
    Pool& own = *static_cast<Pool*>(pool);
    std::unique_lock<std::mutex> held(own.state);
    for (;;) {
      own.begun.wait(held, [&own] { return own.next < own.parts; });
      own.take(held);
    }
    return nullptr;
  }

  // Where the system gives no more threads those that there are do the work.
  void grow(int64_t wanted) {
    for (; threads < wanted; ++threads) {
      pthread_t thread;
      if (pthread_create(&thread, nullptr, serve, this) != 0) return;
      pthread_detach(thread);
    }
  }

  void run(int64_t count, void (*body)(const void*, int64_t), const void* with) {
    std::unique_lock<std::mutex> held(state);
    grow(count - 1);
    work = body, what = with;
    next = 0, left = parts = count;
    begun.notify_all();
    take(held);
    done.wait(held, [this] { return left == 0; });
  }
};

// Never freed: at the end of the process the threads still wait in it. A child after fork has none of them, and locks
// that were held when it was made are held for ever, so it begins with a pool of its own.
std::atomic<Pool*> pool{nullptr};

Pool* the_pool() {
  Pool* found = pool.load(std::memory_order_acquire);
  if (found != nullptr) return found;
  static std::atomic<bool> told{false};
  if (!told.exchange(true)) pthread_atfork(nullptr, nullptr, [] { pool.store(nullptr); });
  Pool* made = new (std::nothrow) Pool;
  if (made != nullptr && !pool.compare_exchange_strong(found, made)) {
    delete made;
    return found;
  }
  return made;
}
}  // namespace

void in_parts(int64_t parts, void (*work)(const void*, int64_t), const void* what) {
  if (parts > 1) {
    Pool* shared = the_pool();
    if (shared != nullptr && shared->calls.try_lock()) {
      shared->run(parts, work, what);
      shared->calls.unlock();
      return;
    }
  }
  for (int64_t part = 0; part < parts; ++part) work(what, part);
}

#include "threads.hpp"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>

namespace {
// A call: its parts, and how many are not done. It stands on the stack of the caller, who waits for all.
struct Job {
  void (*work)(const void*, int64_t);
  const void* what;
  int64_t parts, next, left;
  Job* behind;  // in the list of those with parts that nobody has taken
};

struct Pool {
  std::mutex state;  // of all below, and of the jobs
  std::condition_variable begun, done;
  int64_t threads = 0;
  Job* jobs = nullptr;

  // Does one part; `held` is locked before and after. The job may be gone then.
  void take(Job* job, std::unique_lock<std::mutex>& held) {
    const int64_t part = job->next++;
    if (job->next == job->parts) {
      Job** place = &jobs;
      while (*place != job) place = &(*place)->behind;
      *place = job->behind;
    }
    held.unlock();
    job->work(job->what, part);
    held.lock();
    if (--job->left == 0) done.notify_all();
  }

  static void* serve(void* pool) {
    Pool& own = *static_cast<Pool*>(pool);
    std::unique_lock<std::mutex> held(own.state);
    for (;;) {
      own.begun.wait(held, [&own] { return own.jobs != nullptr; });
      own.take(own.jobs, held);
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

  void run(int64_t parts, void (*work)(const void*, int64_t), const void* what) {
    std::unique_lock<std::mutex> held(state);
    grow(parts - 1);
    Job job{work, what, parts, 0, parts, jobs};
    jobs = &job;
    begun.notify_all();
    while (job.next < parts) take(&job, held);
    done.wait(held, [&job] { return job.left == 0; });
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
    if (shared != nullptr) return shared->run(parts, work, what);
  }
  for (int64_t part = 0; part < parts; ++part) work(what, part);
}

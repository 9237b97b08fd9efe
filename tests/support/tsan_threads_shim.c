/* C11 threads on top of POSIX threads, for programs under ThreadSanitizer only.
 *
 * Debian's librdkafka calls thrd_create, mtx_lock, cnd_wait and the rest from the C library, none of which
 * the ThreadSanitizer runtimes of GCC 12 and clang 14 intercept: a thread they did not see start crashes them
 * at once, and locks they did not see taken are races to them. Defined in the program itself, these functions
 * win over the C library's, and what they call is intercepted. They must be exported by the program (see
 * CMakeLists.txt), and all of them must be here: with only some, both kinds of locking would meet on one
 * object.
 *
 * The C library lays its types out exactly like their POSIX counterparts; the assertions below hold us to
 * that. Results and types as in ISO C11 7.26; the threads rule is the standard's own. */
#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE 700

/* librdkafka must reach these even in a program that is built with hidden symbols. Before the headers,
 * because the C library defines one of the functions inline there and its visibility is settled then. */
#pragma GCC visibility push(default)

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "mtx_t holds a pthread_mutex_t");
_Static_assert(_Alignof(mtx_t) >= _Alignof(pthread_mutex_t), "mtx_t is aligned for a pthread_mutex_t");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "cnd_t holds a pthread_cond_t");
_Static_assert(_Alignof(cnd_t) >= _Alignof(pthread_cond_t), "cnd_t is aligned for a pthread_cond_t");
_Static_assert(sizeof(thrd_t) == sizeof(pthread_t), "thrd_t is a pthread_t");
_Static_assert(sizeof(tss_t) == sizeof(pthread_key_t), "tss_t is a pthread_key_t");
_Static_assert(sizeof(once_flag) == sizeof(pthread_once_t), "once_flag is a pthread_once_t");

static pthread_mutex_t* mutex_of(mtx_t* mutex) { return (pthread_mutex_t*)(void*)mutex; }
static pthread_cond_t* condition_of(cnd_t* condition) { return (pthread_cond_t*)(void*)condition; }

static int result_of(int error) {
  switch (error) {
    case 0:
      return thrd_success;
    case ENOMEM:
      return thrd_nomem;
    case ETIMEDOUT:
      return thrd_timedout;
    case EBUSY:
      return thrd_busy;
    default:
      return thrd_error;
  }
}

struct start {
  thrd_start_t function;
  void* argument;
};

static void* run_start(void* raw) {
  const struct start start = *(struct start*)raw;
  free(raw);
  return (void*)(intptr_t)start.function(start.argument);
}

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
  struct start* start = malloc(sizeof *start);
  if (start == NULL) return thrd_nomem;
  start->function = function;
  start->argument = argument;
  const int error = pthread_create(thread, NULL, run_start, start);
  if (error != 0) free(start);
  return error == EAGAIN ? thrd_nomem : result_of(error);
}

int thrd_join(thrd_t thread, int* result) {
  void* value = NULL;
  const int error = pthread_join(thread, &value);
  if (error == 0 && result != NULL) *result = (int)(intptr_t)value;
  return result_of(error);
}

int thrd_detach(thrd_t thread) { return result_of(pthread_detach(thread)); }
thrd_t thrd_current(void) { return pthread_self(); }
int thrd_equal(thrd_t left, thrd_t right) { return pthread_equal(left, right); }
void thrd_exit(int result) { pthread_exit((void*)(intptr_t)result); }
void thrd_yield(void) { sched_yield(); }

int thrd_sleep(const struct timespec* duration, struct timespec* remaining) {
  const int error = clock_nanosleep(CLOCK_REALTIME, 0, duration, remaining);
  if (error == 0) return 0;
  return error == EINTR ? -1 : -2;
}

int mtx_init(mtx_t* mutex, int type) {
  pthread_mutexattr_t attributes;
  if (type != mtx_plain && type != mtx_timed && type != (mtx_plain | mtx_recursive) &&
      type != (mtx_timed | mtx_recursive)) {
    return thrd_error;
  }
  int error = pthread_mutexattr_init(&attributes);
  if (error != 0) return result_of(error);
  if ((type & mtx_recursive) != 0) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  error = pthread_mutex_init(mutex_of(mutex), &attributes);
  pthread_mutexattr_destroy(&attributes);
  return result_of(error);
}

int mtx_lock(mtx_t* mutex) { return result_of(pthread_mutex_lock(mutex_of(mutex))); }
int mtx_trylock(mtx_t* mutex) { return result_of(pthread_mutex_trylock(mutex_of(mutex))); }
int mtx_unlock(mtx_t* mutex) { return result_of(pthread_mutex_unlock(mutex_of(mutex))); }

/* The last owner of an object knows from its reference count that nobody uses the lock any more. Taking it
 * once more tells ThreadSanitizer, who would see a race with the last unlock elsewhere. */
void mtx_destroy(mtx_t* mutex) {
  if (pthread_mutex_trylock(mutex_of(mutex)) == 0) pthread_mutex_unlock(mutex_of(mutex));
  pthread_mutex_destroy(mutex_of(mutex));
}

int mtx_timedlock(mtx_t* restrict mutex, const struct timespec* restrict deadline) {
  return result_of(pthread_mutex_timedlock(mutex_of(mutex), deadline));
}

int cnd_init(cnd_t* condition) { return result_of(pthread_cond_init(condition_of(condition), NULL)); }
int cnd_signal(cnd_t* condition) { return result_of(pthread_cond_signal(condition_of(condition))); }
int cnd_broadcast(cnd_t* condition) { return result_of(pthread_cond_broadcast(condition_of(condition))); }
void cnd_destroy(cnd_t* condition) { pthread_cond_destroy(condition_of(condition)); }

int cnd_wait(cnd_t* condition, mtx_t* mutex) {
  return result_of(pthread_cond_wait(condition_of(condition), mutex_of(mutex)));
}

int cnd_timedwait(cnd_t* restrict condition, mtx_t* restrict mutex,
                  const struct timespec* restrict deadline) {
  return result_of(pthread_cond_timedwait(condition_of(condition), mutex_of(mutex), deadline));
}

void call_once(once_flag* flag, void (*function)(void)) {
  pthread_once((pthread_once_t*)(void*)flag, function);
}

int tss_create(tss_t* key, tss_dtor_t destructor) { return result_of(pthread_key_create(key, destructor)); }
void tss_delete(tss_t key) { pthread_key_delete(key); }
void* tss_get(tss_t key) { return pthread_getspecific(key); }
int tss_set(tss_t key, void* value) { return result_of(pthread_setspecific(key, value)); }

/* librdkafka hands objects from thread to thread by atomic reference counts, which ThreadSanitizer cannot see
 * in a library that is not instrumented: its free() of a message in a broker thread looks like a race with
 * the read of that message in the application. So what the library's own calls of C library functions access
 * is ignored. Code of ours that it calls from its threads (interceptors) stays checked, which a
 * "race:librdkafka" entry would have hidden. Read by the runtime at start, in addition to any file that
 * TSAN_OPTIONS names. */
const char* __tsan_default_suppressions(void);
const char* __tsan_default_suppressions(void) { return "called_from_lib:librdkafka.so\n"; }

/* That entry would ignore the read-write locks too, which the library takes by their POSIX names, and what is
 * handed over under them would look unprotected. Called from here they count. The runtimes offer their own
 * definitions under these second names, and only weakly under the first. */
int __interceptor_pthread_rwlock_rdlock(pthread_rwlock_t*);
int __interceptor_pthread_rwlock_wrlock(pthread_rwlock_t*);
int __interceptor_pthread_rwlock_tryrdlock(pthread_rwlock_t*);
int __interceptor_pthread_rwlock_trywrlock(pthread_rwlock_t*);
int __interceptor_pthread_rwlock_unlock(pthread_rwlock_t*);
int __interceptor_pthread_rwlock_destroy(pthread_rwlock_t*);

int pthread_rwlock_rdlock(pthread_rwlock_t* lock) { return __interceptor_pthread_rwlock_rdlock(lock); }
int pthread_rwlock_wrlock(pthread_rwlock_t* lock) { return __interceptor_pthread_rwlock_wrlock(lock); }
int pthread_rwlock_tryrdlock(pthread_rwlock_t* lock) { return __interceptor_pthread_rwlock_tryrdlock(lock); }
int pthread_rwlock_trywrlock(pthread_rwlock_t* lock) { return __interceptor_pthread_rwlock_trywrlock(lock); }
int pthread_rwlock_unlock(pthread_rwlock_t* lock) { return __interceptor_pthread_rwlock_unlock(lock); }

/* As in mtx_destroy. */
int pthread_rwlock_destroy(pthread_rwlock_t* lock) {
  if (__interceptor_pthread_rwlock_trywrlock(lock) == 0) __interceptor_pthread_rwlock_unlock(lock);
  return __interceptor_pthread_rwlock_destroy(lock);
}

#pragma GCC visibility pop

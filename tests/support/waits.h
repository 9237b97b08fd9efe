// How often the calling thread has waited for anything: another thread, a timer, a descriptor.
//
// The kernel counts each time a thread gives up the processor before its time is over in order to sleep. A
// thread that was merely displaced, or that offered its place (sched_yield), is not counted, so the figure
// does not depend on how busy the machine is; a page that comes from a disk is.
#pragma once

#include <sys/resource.h>

namespace midtrace::test {

inline long waits_of_this_thread() noexcept {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

}  // namespace midtrace::test

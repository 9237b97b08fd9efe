// What ends last at the process's end: setup() registers a flush with atexit, and handlers run in the reverse
// order of their registration.
//
// An exporter whose library has just registered a clean-up of its own (TLS does) calls
// last_flush_comes_first() in open(). The next setup() that succeeds, which is the one that opens it, then
// registers the flush once more, so that it comes to its turn before that clean-up, also where an earlier
// setup() had registered it long before. Call it once per library and process: every call costs an entry of
// atexit's list. Any thread.
#pragma once

namespace midtrace {
inline namespace v1 {

void last_flush_comes_first() noexcept;

}  // namespace v1
}  // namespace midtrace

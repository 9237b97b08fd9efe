// ClientSet: the clients that are traced already, by address, shared by all copies of midtrace in the
// process.
//
// Claims happen when a client is created, so a short linear list behind a spin lock does. Any thread. The set
// of the copy that needed one first is everybody's (anchor.h); a fork takes the locks of both that and the
// others, which stay empty.
#pragma once

namespace midtrace {
inline namespace v1 {

void clients_before_fork() noexcept;
void clients_after_fork() noexcept;

}  // namespace v1
}  // namespace midtrace

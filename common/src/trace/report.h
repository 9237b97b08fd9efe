// Where report() sends its messages.
//
// Replaced loggers are kept, because another thread may be using one. Any thread.
#pragma once

#include <memory>

#include <midtrace/trace/logger.h>

namespace midtrace {
inline namespace v1 {

// Null: one line to standard error, from severity `warning` up.
void set_logger(std::shared_ptr<Logger> logger) noexcept;
// Forgets when each cause was last reported, so that a new set-up reports again.
void forget_reports() noexcept;

}  // namespace v1
}  // namespace midtrace

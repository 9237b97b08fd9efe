// CreationContext: messages carry a context that was stored earlier, as those do that come out of an outbox.
//
//   transaction.store(order, midtrace::context_to_text());  // the service that has the order to announce
//
//   // the relay
//   const midtrace::messaging::CreationContext stored(midtrace::context_from_text(row.context));
//   producer->produce("orders", ...);
//
// Messages that this thread sends while it lives, by any traced producer of any module, carry exactly that
// context and its baggage, as far as the module's option baggage_keys lets it. Their `send` spans are of kind
// CLIENT and link to it; it is their parent when there is no current span. A context that the application put
// into a message's headers itself is still the message's own (option existing_context). A context without a
// span changes nothing, and inside another CreationContext it hides that one.
//
// It may end on another thread, or out of order. Nothing throws. Source: conventions 2.3.
#pragma once

#include <memory>

#include <midtrace/context/context.h>

namespace midtrace {
inline namespace v1 {
namespace messaging {

struct StoredContext;

class [[nodiscard]] CreationContext {
 public:
  explicit CreationContext(Context context) noexcept;
  ~CreationContext() { end(); }
  CreationContext(const CreationContext&) = delete;
  CreationContext& operator=(const CreationContext&) = delete;

  // Ends it early; a second call does nothing.
  void end() noexcept;

 private:
  std::shared_ptr<StoredContext> stored_;
};

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace

// A context that goes through the void* of a C library.
#include <memory>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include <midtrace/context/carried.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

// A C library that calls back later, on a thread of its own.
struct Pending {
  void (*callback)(void*);
  void* opaque;
};
void complete(const Pending& pending) { std::thread(pending.callback, pending.opaque).join(); }

TEST(Carried, isCurrentInTheCallbackAndOwnedByIt) {
  testing::Recorder recorder;
  auto watched = std::make_shared<int>(1);
  Pending pending{};
  {
    const Span request = Tracer::get("handoff_test").start("request");
    const Scope scope = request.activate();
    pending = {[](void* opaque) {
                 const auto carried = Carried<std::shared_ptr<int>>::take(opaque);
                 const Scope inside(carried->context);
                 Tracer::get("handoff_test").start("response").end();
               },
               carry(watched).release()};
  }
  EXPECT_EQ(watched.use_count(), 2);
  complete(pending);
  EXPECT_EQ(watched.use_count(), 1);
  EXPECT_EQ(recorder.tree(), R"(
request INTERNAL
  response INTERNAL
)");
}

TEST(Carried, mayBeLookedAtByEachOfManyCallbacks) {
  Context context;
  context.suppressed = true;
  const auto owner = carry(0, context);
  const Pending pending{[](void* opaque) {
                          auto& carried = Carried<int>::peek(opaque);
                          carried.value += carried.context.suppressed ? 1 : 100;
                        },
                        owner.get()};
  complete(pending);
  complete(pending);
  EXPECT_EQ(owner->value, 2);
}

}  // namespace
}  // namespace midtrace

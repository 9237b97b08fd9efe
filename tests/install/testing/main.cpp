// A program that has midtrace::testing: spans in memory, as text.
#include <cstdio>
#include <string>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

int main() {
  midtrace::testing::Recorder recorder;
  {
    const auto tracer = midtrace::Tracer::get("consumer");
    auto outer = tracer.start("outer");
    const auto scope = outer.activate();
    auto inner = tracer.start("inner");
    inner.set("items", 3);
  }
  const std::string expected = R"(
outer INTERNAL
  inner INTERNAL
    items = 3
)";
  const std::string tree = recorder.tree();
  if (tree != expected) {
    std::fprintf(stderr, "expected:%sgot:%s", expected.c_str(), tree.c_str());
    return 1;
  }
  return 0;
}

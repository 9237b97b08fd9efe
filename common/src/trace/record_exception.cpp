// How exceptions look on a span (conventions 6).
#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <typeinfo>

#include <midtrace/semconv/attributes.h>

#include "native_backend.h"
#include "record.h"

namespace midtrace {
inline namespace v1 {

namespace {

// The dynamic type's name as it stands in the source, or as the compiler mangled it.
class TypeName {
 public:
  explicit TypeName(const std::exception& exception) noexcept : mangled_(typeid(exception).name()) {
    int failure = 0;
    demangled_.reset(abi::__cxa_demangle(mangled_, nullptr, nullptr, &failure));
  }
  std::string_view text() const noexcept { return demangled_ != nullptr ? demangled_.get() : mangled_; }

 private:
  struct Free {
    void operator()(char* text) const noexcept { std::free(text); }
  };
  const char* mangled_;
  std::unique_ptr<char, Free> demangled_;
};

std::string_view message_of(const std::exception& exception) noexcept {
  const char* message = exception.what();
  return message != nullptr ? message : "";
}

void add_event(SpanRecord& record, std::string_view type, std::string_view message) noexcept {
  const Attribute attributes[] = {{semconv::exception_type, type}, {semconv::exception_message, message}};
  record_event(record, "exception", NativeBackend::instance().tick(), attributes);
}

}  // namespace

void record_error(SpanRecord& record, std::string_view error_type, std::string_view description) noexcept {
  record_string(record, semconv::error_type, error_type);
  record_status(record, StatusCode::error, description);
}

void record_exception(SpanRecord& record, const std::exception& exception) noexcept {
  add_event(record, TypeName(exception).text(), message_of(exception));
}

void record_failure(SpanRecord& record, const std::exception& exception) noexcept {
  const TypeName type(exception);
  add_event(record, type.text(), message_of(exception));
  record_error(record, type.text(), message_of(exception));
}

}  // namespace v1
}  // namespace midtrace

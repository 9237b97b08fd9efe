#include "librdkafka_functions.h"

#include <dlfcn.h>
#include <librdkafka/rdkafka.h>

#include <atomic>
#include <exception>
#include <mutex>
#include <string>

#include <midtrace/trace/instrumentation.h>

// Name, result, parameters, arguments.
#define MIDTRACE_LIBRDKAFKA_FUNCTIONS(FUNCTION)                                                              \
  FUNCTION(rd_kafka_clusterid, char*, (rd_kafka_t * a, int b), (a, b))                                       \
  FUNCTION(rd_kafka_conf_destroy, void, (rd_kafka_conf_t * a), (a))                                          \
  FUNCTION(rd_kafka_conf_get, rd_kafka_conf_res_t,                                                           \
           (const rd_kafka_conf_t* a, const char* b, char* c, size_t* d), (a, b, c, d))                      \
  FUNCTION(rd_kafka_conf_interceptor_add_on_conf_destroy, rd_kafka_resp_err_t,                               \
           (rd_kafka_conf_t * a, const char* b, rd_kafka_interceptor_f_on_conf_destroy_t* c, void* d),       \
           (a, b, c, d))                                                                                     \
  FUNCTION(rd_kafka_conf_interceptor_add_on_conf_set, rd_kafka_resp_err_t,                                   \
           (rd_kafka_conf_t * a, const char* b, rd_kafka_interceptor_f_on_conf_set_t* c, void* d),           \
           (a, b, c, d))                                                                                     \
  FUNCTION(rd_kafka_conf_interceptor_add_on_new, rd_kafka_resp_err_t,                                        \
           (rd_kafka_conf_t * a, const char* b, rd_kafka_interceptor_f_on_new_t* c, void* d), (a, b, c, d))  \
  FUNCTION(rd_kafka_err2name, const char*, (rd_kafka_resp_err_t a), (a))                                     \
  FUNCTION(rd_kafka_header_add, rd_kafka_resp_err_t,                                                         \
           (rd_kafka_headers_t * a, const char* b, ssize_t c, const void* d, ssize_t e), (a, b, c, d, e))    \
  FUNCTION(rd_kafka_header_get_all, rd_kafka_resp_err_t,                                                     \
           (const rd_kafka_headers_t* a, size_t b, const char** c, const void** d, size_t* e),               \
           (a, b, c, d, e))                                                                                  \
  FUNCTION(rd_kafka_header_remove, rd_kafka_resp_err_t, (rd_kafka_headers_t * a, const char* b), (a, b))     \
  FUNCTION(rd_kafka_headers_new, rd_kafka_headers_t*, (size_t a), (a))                                       \
  FUNCTION(rd_kafka_interceptor_add_on_acknowledgement, rd_kafka_resp_err_t,                                 \
           (rd_kafka_t * a, const char* b, rd_kafka_interceptor_f_on_acknowledgement_t* c, void* d),         \
           (a, b, c, d))                                                                                     \
  FUNCTION(rd_kafka_interceptor_add_on_commit, rd_kafka_resp_err_t,                                          \
           (rd_kafka_t * a, const char* b, rd_kafka_interceptor_f_on_commit_t* c, void* d), (a, b, c, d))    \
  FUNCTION(rd_kafka_interceptor_add_on_consume, rd_kafka_resp_err_t,                                         \
           (rd_kafka_t * a, const char* b, rd_kafka_interceptor_f_on_consume_t* c, void* d), (a, b, c, d))   \
  FUNCTION(rd_kafka_interceptor_add_on_destroy, rd_kafka_resp_err_t,                                         \
           (rd_kafka_t * a, const char* b, rd_kafka_interceptor_f_on_destroy_t* c, void* d), (a, b, c, d))   \
  FUNCTION(rd_kafka_interceptor_add_on_send, rd_kafka_resp_err_t,                                            \
           (rd_kafka_t * a, const char* b, rd_kafka_interceptor_f_on_send_t* c, void* d), (a, b, c, d))      \
  FUNCTION(rd_kafka_mem_free, void, (rd_kafka_t * a, void* b), (a, b))                                       \
  FUNCTION(rd_kafka_message_headers, rd_kafka_resp_err_t,                                                    \
           (const rd_kafka_message_t* a, rd_kafka_headers_t** b), (a, b))                                    \
  FUNCTION(rd_kafka_message_set_headers, void, (rd_kafka_message_t * a, rd_kafka_headers_t * b), (a, b))     \
  FUNCTION(rd_kafka_message_timestamp, int64_t, (const rd_kafka_message_t* a, rd_kafka_timestamp_type_t* b), \
           (a, b))                                                                                           \
  FUNCTION(rd_kafka_name, const char*, (const rd_kafka_t* a), (a))                                           \
  FUNCTION(rd_kafka_conf, const rd_kafka_conf_t*, (rd_kafka_t * a), (a))                                     \
  FUNCTION(rd_kafka_topic_name, const char*, (const rd_kafka_topic_t* a), (a))                               \
  FUNCTION(rd_kafka_version, int, (), ())

namespace {

struct Functions {
#define MIDTRACE_FIELD(name, result, parameters, arguments) decltype(&::name) name##_;
  MIDTRACE_LIBRDKAFKA_FUNCTIONS(MIDTRACE_FIELD)
#undef MIDTRACE_FIELD
};
constinit Functions functions{};
constinit const void* base_in_use = nullptr;  // guarded by `choosing`
constinit std::mutex choosing;

// The object at `file`, which is loaded; the program itself when it is that one.
class Object {
 public:
  explicit Object(const char* file) noexcept : handle_(dlopen(file, RTLD_LAZY | RTLD_NOLOAD)) {}
  ~Object() {
    if (handle_ != nullptr) dlclose(handle_);
  }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  void* symbol(const char* name) const noexcept {
    return dlsym(handle_ != nullptr ? handle_ : RTLD_DEFAULT, name);
  }

 private:
  void* handle_;
};

// Null when every function was found, else the name of one that was not.
const char* find_all(const Object& object, Functions& found) noexcept {
#define MIDTRACE_FIND(name, result, parameters, arguments)                   \
  found.name##_ = reinterpret_cast<decltype(&::name)>(object.symbol(#name)); \
  if (found.name##_ == nullptr) return #name;
  MIDTRACE_LIBRDKAFKA_FUNCTIONS(MIDTRACE_FIND)
#undef MIDTRACE_FIND
  return nullptr;
}

}  // namespace

// What the rest of the plugin calls.
extern "C" {
#define MIDTRACE_JUMP(name, result, parameters, arguments) \
  result name parameters { return functions.name##_ arguments; }
MIDTRACE_LIBRDKAFKA_FUNCTIONS(MIDTRACE_JUMP)
#undef MIDTRACE_JUMP
}

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace plugin {

bool use_librdkafka_at(const void* address) noexcept {
  try {
    const std::lock_guard guard(choosing);
    Dl_info where{};
    if (dladdr(address, &where) == 0 || where.dli_fname == nullptr) {
      report(
          Severity::error, "kafka.plugin.caller",
          "The Kafka plugin of midtrace cannot tell which librdkafka loaded it; its clients work untraced.");
      return false;
    }
    if (base_in_use != nullptr) {
      if (base_in_use == where.dli_fbase) return true;
      report(Severity::warning, "kafka.plugin.second_librdkafka",
             "This process has two copies of librdkafka, and the Kafka plugin of midtrace can serve only the "
             "one "
             "that loaded it first; the clients of the other one, " +
                 std::string(where.dli_fname) + ", work untraced.");
      return false;
    }
    Functions found{};
    if (const char* missing = find_all(Object(where.dli_fname), found); missing != nullptr) {
      report(Severity::error, "kafka.plugin.functions",
             "The librdkafka that loaded the Kafka plugin of midtrace, " + std::string(where.dli_fname) +
                 ", has no " + missing + "(); its clients work untraced. Use librdkafka 2.0.2 or newer.");
      return false;
    }
    functions = found;
    base_in_use = where.dli_fbase;
    return true;
  } catch (const std::exception&) {
    return false;  // no memory: untraced
  }
}

}  // namespace plugin
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace

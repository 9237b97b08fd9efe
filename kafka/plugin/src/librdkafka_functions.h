// The functions of the librdkafka that loaded the plugin.
//
// Programs bring librdkafka under other names and out of the dynamic linker's sight (Python wheels do), so
// the plugin cannot be linked with it. It defines every function that it uses itself, as a jump to the one of
// the library that called conf_init(). There is one such library for the life of the process: a second copy
// of librdkafka would be handed objects of the first.
#pragma once

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace plugin {

// `address`: one inside the librdkafka that calls. False, after a report, when it lacks a function or is not
// the one that called first. Any thread.
bool use_librdkafka_at(const void* address) noexcept;

}  // namespace plugin
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace

// otlp_file_exporter() for a path that did not come from code.
#pragma once

#include <memory>
#include <string>

#include <midtrace/export/exporter.h>

namespace midtrace {
inline namespace v1 {

// `origin`: where the path comes from, for describe(); empty for where the exporter comes from.
std::shared_ptr<Exporter> otlp_file_exporter(std::string path, std::string origin);

}  // namespace v1
}  // namespace midtrace

#include <midtrace/export/json_string.h>

#include "json_text.h"

namespace midtrace {
inline namespace v1 {

void append_json_string(std::string& out, std::string_view text) { JsonText(out).string(text); }

}  // namespace v1
}  // namespace midtrace

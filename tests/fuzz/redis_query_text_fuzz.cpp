// Commands as bytes, and texts made of them: an argument that is not shown changes nothing in the text, and
// what is cut off is cut between arguments.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"
#include "messaging/text.h"
#include "query_text.h"
#include "resp.h"

namespace {

namespace detail = midtrace::redis::detail;

struct Token {
  std::string text;
  bool quoted = false;
};

// As redis-cli would take the text apart.
std::vector<Token> tokens_of(std::string_view text) {
  std::vector<Token> tokens;
  for (std::size_t at = 0; at < text.size(); ++at) {
    Token token;
    if (text[at] == '"') {
      token.quoted = true;
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\') FUZZ_CHECK(++at < text.size());
        token.text += text[at];
      }
      FUZZ_CHECK(at < text.size());
      ++at;
      FUZZ_CHECK(at == text.size() || text[at] == ' ');
    } else {
      for (; at < text.size() && text[at] != ' '; ++at)
        token.text += text[at];
      FUZZ_CHECK(!token.text.empty());
    }
    tokens.push_back(token);
  }
  return tokens;
}

detail::QueryText text_of(const std::vector<std::string>& command, std::span<char> into) {
  const std::vector<std::string_view> views(command.begin(), command.end());
  const detail::Arguments arguments{std::span<const std::string_view>(views)};
  return detail::write_query_text(detail::policy_of(arguments), arguments, into);
}

void check(const detail::Command& command) {
  std::vector<std::string> all;
  for (detail::Arguments left = command.arguments(); !left.empty();)
    all.emplace_back(left.take());
  FUZZ_CHECK(all.size() == command.argc() && !all.empty());
  FUZZ_CHECK(command.argument(all.size() - 1) == all.back());
  std::size_t bytes = 0;
  for (const std::string& each : all)
    bytes += each.size();

  // From its bytes and from an array it is the same.
  std::vector<char> buffer(2 * bytes + 8 * all.size() + 8);
  const detail::CommandPolicy* policy = detail::policy_of(command.arguments());
  const detail::QueryText whole = detail::write_query_text(policy, command.arguments(), buffer);
  FUZZ_CHECK(!whole.truncated && midtrace::messaging::is_plain_text(whole.text));
  std::vector<char> second(buffer.size());
  FUZZ_CHECK(text_of(all, second).text == whole.text);

  // What is not shown may be anything else.
  const std::vector<Token> tokens = tokens_of(whole.text);
  FUZZ_CHECK(tokens.size() == all.size());
  std::vector<std::string> replaced = all;
  for (std::size_t at = 0; at < all.size(); ++at) {
    if (tokens[at].quoted || tokens[at].text != "?") {
      FUZZ_CHECK(tokens[at].text == all[at]);
      if (policy == nullptr) FUZZ_CHECK(at == 0);
    } else {
      replaced[at] = "\x01 other \xff";
    }
  }
  FUZZ_CHECK(text_of(replaced, second).text == whole.text);

  // Cut anywhere it has the same beginning, whole arguments, and a mark.
  for (std::size_t size = 0; size < whole.text.size(); size = size < 64 ? size + 1 : size * 2) {
    const detail::QueryText cut =
        detail::write_query_text(policy, command.arguments(), std::span(second).first(size));
    FUZZ_CHECK(cut.truncated && cut.text.size() <= size);
    if (cut.text.empty()) continue;
    FUZZ_CHECK(cut.text.ends_with(" ..."));
    const std::string_view kept = cut.text.substr(0, cut.text.size() - 4);
    FUZZ_CHECK(whole.text.starts_with(kept) && whole.text[kept.size()] == ' ');
    const std::vector<Token> first = tokens_of(kept);
    for (std::size_t at = 0; at < first.size(); ++at)
      FUZZ_CHECK(first[at].text == tokens[at].text);
  }

  const std::string_view operation = detail::operation_name(policy, all[0]);
  FUZZ_CHECK(operation == "_OTHER" || (operation == all[0] && tokens[0].text == all[0]));
  const std::string_view procedure = detail::stored_procedure_name(policy, command.arguments());
  if (!procedure.empty()) FUZZ_CHECK(tokens[1].text == procedure);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input = midtrace_fuzz::text_of(bytes, size);
  detail::CommandReader reader(input);
  std::size_t read = 0;
  while (const auto command = reader.next()) {
    FUZZ_CHECK(command->bytes().data() == input.data() + read);
    read += command->bytes().size();
    check(*command);
    FUZZ_CHECK(detail::read_command(command->bytes()));
  }
  FUZZ_CHECK(reader.malformed() == (read != size));

  // And as a command's lines, which are mutated more usefully.
  std::string encoded;
  std::size_t argc = 0;
  for (std::string_view rest = input; !rest.empty(); ++argc) {
    const std::string_view line = midtrace_fuzz::take_line(rest);
    encoded += "$" + std::to_string(line.size()) + "\r\n" + std::string(line) + "\r\n";
  }
  if (argc == 0) return 0;
  encoded.insert(0, "*" + std::to_string(argc) + "\r\n");
  const auto command = detail::read_command(encoded);
  FUZZ_CHECK(command);
  check(*command);
  return 0;
}

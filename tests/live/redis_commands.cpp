#include "live/redis_commands.h"

#include <hiredis/hiredis.h>
#include <sys/socket.h>

#include <array>
#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace midtrace::test {

namespace {

struct Value {
  std::string text;
  long long number = 0;
  std::vector<Value> elements;
};

// The first line off the front, without its end.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find("\r\n");
  if (end == text.npos) throw std::runtime_error("a reply is not complete");
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 2);
  return line;
}

Value take_value(std::string_view& text) {
  const std::string_view line = take_line(text);
  if (line.empty()) throw std::runtime_error("a reply is empty");
  Value value;
  value.number = std::atoll(std::string(line.substr(1)).c_str());
  switch (line.front()) {
    case '*':
      for (long long i = 0; i < value.number; ++i)
        value.elements.push_back(take_value(text));
      break;
    case '$':
      if (value.number < 0) break;
      value.text = text.substr(0, static_cast<std::size_t>(value.number));
      text.remove_prefix(value.text.size());
      take_line(text);
      break;
    case '+':
      value.text = line.substr(1);
      break;
    case ':':
      break;
    default:
      throw std::runtime_error("the server says " + std::string(line));
  }
  return value;
}

// All that the server answers until it closes the connection.
std::string converse(int socket, std::string_view question) {
  if (::send(socket, question.data(), question.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(question.size()))
    throw std::runtime_error("the server takes no question");
  std::string answer;
  std::array<char, 65536> part;
  for (ssize_t got = 0; (got = ::recv(socket, part.data(), part.size(), 0)) > 0;)
    answer.append(part.data(), static_cast<std::size_t>(got));
  return answer;
}

// `config|set` is `CONFIG SET`.
std::string name_of(const Value& value) {
  std::string name = value.text;
  for (char& c : name)
    c = c == '|' ? ' ' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

// Of pairs of names and values the value; null when it is not there.
const Value* find(const Value& pairs, std::string_view name) {
  for (std::size_t i = 0; i + 1 < pairs.elements.size(); i += 2)
    if (pairs.elements[i].text == name) return &pairs.elements[i + 1];
  return nullptr;
}

const Value& at(const Value& pairs, std::string_view name) {
  const Value* value = find(pairs, name);
  if (value == nullptr) throw std::runtime_error("a description has no " + std::string(name));
  return *value;
}

std::string number(const Value& pairs, std::string_view name) {
  return std::to_string(at(pairs, name).number);
}

// Empty when the server cannot tell.
std::string rule_of(const Value& specification) {
  const Value& begin = at(specification, "begin_search");
  const Value& keys = at(specification, "find_keys");
  const Value& place = at(begin, "spec");
  const Value& extent = at(keys, "spec");
  std::string rule;
  if (at(begin, "type").text == "index") {
    rule = number(place, "index");
  } else if (at(begin, "type").text == "keyword") {
    rule = at(place, "keyword").text + '@' + number(place, "startfrom");
  } else {
    return {};
  }
  if (at(keys, "type").text == "range") {
    rule += ' ' + number(extent, "lastkey");
    if (const std::string step = number(extent, "keystep"); step != "1") rule += " step" + step;
    if (const std::string limit = number(extent, "limit"); limit == "2") rule += " half";
  } else if (at(keys, "type").text == "keynum") {
    if (number(extent, "keynumidx") != "0" || number(extent, "firstkey") != "1")
      throw std::runtime_error("keys do not follow their number");
    rule += " count";
  } else {
    return {};
  }
  return rule;
}

void add_commands(const Value& list, std::map<std::string, LiveCommand>& commands) {
  static constexpr std::array<std::pair<std::string_view, char>, 4> kFlags{
      {{"readonly", 'r'}, {"write", 'w'}, {"blocking", 'b'}, {"pubsub", 'p'}}};
  for (std::size_t i = 0; i < list.elements.size(); ++i) {
    const Value& reply = list.elements[i];
    if (reply.elements.size() < 10) throw std::runtime_error("a command has no key specifications");
    LiveCommand command;
    command.name = name_of(reply.elements[0]);
    command.arity = static_cast<int>(reply.elements[1].number);
    const Value& flags = reply.elements[2];
    for (const auto& [flag, letter] : kFlags)
      for (std::size_t j = 0; j < flags.elements.size(); ++j)
        if (flags.elements[j].text == flag) command.flags += letter;
    const Value& specifications = reply.elements[8];
    for (std::size_t j = 0; j < specifications.elements.size(); ++j) {
      const std::string rule = rule_of(specifications.elements[j]);
      if (!rule.empty()) command.keys += (command.keys.empty() ? "" : ", ") + rule;
    }
    add_commands(reply.elements[9], commands);
    commands.emplace(command.name, command);
  }
}

void add_words(const Value& arguments, std::set<std::string>& words) {
  for (std::size_t i = 0; i < arguments.elements.size(); ++i) {
    const Value& argument = arguments.elements[i];
    // Of BITFIELD's a token has a blank.
    if (const Value* token = find(argument, "token"); token != nullptr)
      for (const std::string_view word : split(token->text, " "))
        words.emplace(word);
    if (const Value* inner = find(argument, "arguments"); inner != nullptr) add_words(*inner, words);
  }
}

void add_documents(const Value& documents, std::map<std::string, LiveCommand>& commands) {
  for (std::size_t i = 0; i + 1 < documents.elements.size(); i += 2) {
    const Value& document = documents.elements[i + 1];
    std::set<std::string> words;
    if (const Value* arguments = find(document, "arguments"); arguments != nullptr)
      add_words(*arguments, words);
    std::string& text = commands.at(name_of(documents.elements[i])).words;
    for (const std::string& word : words)
      if (!word.empty()) text += (text.empty() ? "" : " ") + word;
    if (const Value* inner = find(document, "subcommands"); inner != nullptr) add_documents(*inner, commands);
  }
}

}  // namespace

std::vector<LiveCommand> read_commands(const RedisServer& server) {
  const RedisContext context(redisConnectUnix(server.unix_socket().c_str()));
  if (!context || context->err != 0) throw std::runtime_error("no connection to Redis");
  const std::string answer = converse(context->fd, "COMMAND\r\nCOMMAND DOCS\r\nQUIT\r\n");
  std::string_view rest = answer;
  std::map<std::string, LiveCommand> commands;
  add_commands(take_value(rest), commands);
  add_documents(take_value(rest), commands);
  std::vector<LiveCommand> result;
  for (auto& [name, command] : commands)
    result.push_back(std::move(command));
  return result;
}

}  // namespace midtrace::test

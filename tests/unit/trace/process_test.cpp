// Fork, exit and signals: what an application does with its process, tracing survives, and counts what it
// loses.
#include <signal.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "process_runner.h"

namespace {

using midtrace_test::count_of;
using midtrace_test::ExportedSpan;
using midtrace_test::names_in;
using midtrace_test::ProcessRunner;
using Names = std::vector<std::string>;

void expect_unique_span_ids(const std::vector<ExportedSpan>& spans) {
  std::set<std::string> ids;
  for (const ExportedSpan& span : spans)
    EXPECT_TRUE(ids.insert(span.span_id).second) << span.name << " twice";
}

TEST(Fork, leaves_the_parent_its_spans_and_lets_the_child_trace_by_itself) {
  ProcessRunner run("fork_in_span");
  run.succeeds();
  const auto spans = run.spans();
  expect_unique_span_ids(spans);
  EXPECT_EQ(run.told("child_dropped_by_fork"), 1U) << "the parent's span, ended in the child";
  const std::string child = std::to_string(run.told("child").value_or(0));
  const std::string parent = std::to_string(run.told("parent").value_or(0));
  EXPECT_EQ(names_in(spans, child), (Names{"child", "thread of the child"}));
  const Names of_parent = names_in(spans, parent);
  EXPECT_EQ(count_of(of_parent, "parent"), 1);
  EXPECT_EQ(count_of(of_parent, "before the fork"), 1);
  EXPECT_EQ(count_of(of_parent, "child"), 0);
  EXPECT_GT(count_of(of_parent, "background"), 0);
  // One trace, across the fork.
  const auto find = [&](const std::string& name) {
    for (const ExportedSpan& span : spans) {
      if (span.name == name) return span;
    }
    return ExportedSpan();
  };
  EXPECT_EQ(find("child").trace_id, find("parent").trace_id);
  EXPECT_EQ(find("child").parent_span_id, find("parent").span_id);
  EXPECT_EQ(find("thread of the child").parent_span_id, find("child").span_id);
}

TEST(Fork, fifty_times_under_load_never_hangs_and_loses_nothing) {
  ProcessRunner run("fork_under_load");
  run.succeeds();
  const auto spans = run.spans();
  expect_unique_span_ids(spans);
  std::map<std::string, Names> files;
  for (const ExportedSpan& span : spans)
    files[span.file].push_back(span.name);
  EXPECT_EQ(files.size(), 51U);
  const std::string parent = std::to_string(run.told("parent").value_or(0));
  for (const auto& [file, names] : files) {
    if (file == parent) {
      EXPECT_EQ(count_of(names, "child"), 0);
    } else {
      EXPECT_EQ(names, Names(10, "child")) << file;
    }
  }
}

TEST(Fork, works_in_a_forked_child_again) {
  ProcessRunner run("fork_of_a_fork");
  run.succeeds();
  EXPECT_EQ(names_in(run.spans()), (Names{"first", "first again", "second", "second again", "third"}));
  expect_unique_span_ids(run.spans());
}

TEST(Fork, takes_span_processors_along) {
  ProcessRunner run("fork_with_a_processor");
  run.succeeds();
  EXPECT_EQ(names_in(run.spans()), (Names{"child seen", "parent seen"}));
}

TEST(Fork, of_a_child_that_does_not_trace_costs_nothing_and_exits) {
  ProcessRunner run("fork_without_tracing_in_the_child");
  run.succeeds();
  std::set<std::string> files;
  for (const ExportedSpan& span : run.spans())
    files.insert(span.file);
  EXPECT_EQ(files.size(), 1U);
  EXPECT_EQ(count_of(names_in(run.spans()), "parent"), 1);
}

TEST(Fork, while_another_thread_is_in_shutdown_leaves_the_child_free_to_set_up_anew) {
  ProcessRunner run("fork_while_another_thread_shuts_down");
  run.succeeds();
  EXPECT_EQ(names_in(run.spans()), (Names{"child"}));
}

TEST(Exit, exports_what_ends_before_the_flush_and_survives_what_ends_after_it) {
  ProcessRunner run("spans_at_exit");
  run.succeeds();
  EXPECT_EQ(names_in(run.spans()), (Names{"at exit", "ended in time", "in a destructor"}));
}

TEST(Exit, flushes_though_nobody_destroys_the_handle) {
  ProcessRunner run("forgotten_handle_at_exit");
  run.succeeds();
  EXPECT_EQ(names_in(run.spans()), (Names{"at exit", "main"}));
}

TEST(Exit, lets_handlers_and_destructors_flush_before_and_after_the_end_of_tracing) {
  ProcessRunner run("flush_while_exiting");
  run.succeeds();
  for (const char* const flush : {"destructor", "handler", "late_handler", "late_destructor"})
    EXPECT_EQ(run.told(flush), 1U) << flush << "\n" << run.output();
  const Names names = names_in(run.spans());
  EXPECT_EQ(count_of(names, "destructor"), 1);
  EXPECT_EQ(count_of(names, "handler"), 1);
  EXPECT_EQ(count_of(names, "late_handler"), 0) << "tracing was over";
  EXPECT_EQ(count_of(names, "late_destructor"), 0);
}

TEST(Exit, from_a_thread_while_others_trace_is_safe) {
  ProcessRunner run("exit_from_a_thread");
  run.succeeds();
  const Names names = names_in(run.spans());
  EXPECT_EQ(count_of(names, "main"), 1);
  EXPECT_EQ(count_of(names, "thread"), 1);
}

TEST(Tracers, of_names_that_vary_are_bounded_and_the_same_for_all_threads) {
  ProcessRunner run("too_many_scopes");
  run.succeeds();
  EXPECT_EQ(run.told("differing"), 0U);
  const std::uint64_t named = run.told("named").value_or(0);
  EXPECT_GE(named, 990U);
  EXPECT_LE(named, 1004U);
}

TEST(Signals, that_the_application_handles_lose_nothing_that_ended_before_flush) {
  ProcessRunner run("terminate");
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!run.told("ready") && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  run.process().signal(SIGTERM);
  EXPECT_EQ(run.wait().signal, SIGKILL) << "it ends without a word, so that only the flush can have written";
  EXPECT_EQ(run.told("flushed"), 1U);
  EXPECT_GT(run.told("ended").value_or(0), 0U);
  EXPECT_GE(run.spans().size(), run.told("ended").value_or(0));
}

TEST(ThreadExit, lets_keys_destructors_end_spans_after_thread_locals_are_gone) {
  ProcessRunner run("key_destructors");
  run.succeeds();
  const Names names = names_in(run.spans());
  EXPECT_EQ(count_of(names, "ended by a key's destructor"), 20);
  EXPECT_EQ(count_of(names, "in a key's destructor"), 20);
  EXPECT_EQ(count_of(names, "below it"), 20);
  EXPECT_EQ(count_of(names, "ended by a thread_local"), 20);
  EXPECT_EQ(count_of(names, "in a late round"), static_cast<long>(run.told("rounds").value_or(0)));
  EXPECT_GE(run.told("rounds").value_or(0), 40U);
}

}  // namespace

#include "client_set.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include <midtrace/trace/instrumentation.h>

#include "anchor_values.h"
#include "spin_lock.h"
#include "thread_block.h"

namespace midtrace {
inline namespace v1 {

namespace {

struct OwnClients {
  SpinLock lock;
  std::vector<const void*>* addresses = nullptr;  // never destroyed: clients may outlive statics
};
constinit OwnClients own;

// Also the first when there is no memory to remember it.
int claim(const void* client) {
  std::lock_guard guard(own.lock);
  try {
    if (own.addresses == nullptr) own.addresses = new std::vector<const void*>;
    std::vector<const void*>& all = *own.addresses;
    if (std::find(all.begin(), all.end(), client) != all.end()) return 0;
    all.push_back(client);
  } catch (...) {
  }
  return 1;
}

void release(const void* client) {
  std::lock_guard guard(own.lock);
  if (own.addresses != nullptr) std::erase(*own.addresses, client);
}

constinit const midtrace_clients_table own_table{sizeof(midtrace_clients_table), claim, release};

const midtrace_clients_table& everybodys_clients() noexcept {
  std::atomic<const midtrace_clients_table*>& cell = anchor::shared().clients;
  const midtrace_clients_table* table = cell.load(std::memory_order_acquire);
  if (table != nullptr) return *table;
  stay_loaded();  // from now on others call into this copy
  if (cell.compare_exchange_strong(table, &own_table, std::memory_order_acq_rel)) return own_table;
  return *table;
}

}  // namespace

bool claim_client(const void* client) noexcept { return everybodys_clients().claim(client) != 0; }
void release_client(const void* client) noexcept { everybodys_clients().release(client); }

void clients_before_fork() noexcept { own.lock.lock(); }
void clients_after_fork() noexcept { own.lock.unlock(); }

}  // namespace v1
}  // namespace midtrace

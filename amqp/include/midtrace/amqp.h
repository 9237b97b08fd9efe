// Tracing for RabbitMQ through rabbitmq-c: Connection, process(), Options.
#pragma once

#include <midtrace/amqp/connection.h>
#include <midtrace/amqp/library.h>
#include <midtrace/amqp/options.h>
#include <midtrace/amqp/outbox.h>
#include <midtrace/amqp/process.h>

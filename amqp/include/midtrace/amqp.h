// Tracing for RabbitMQ clients that use rabbitmq-c 0.11 or later.
#pragma once

#include <amqp.h>

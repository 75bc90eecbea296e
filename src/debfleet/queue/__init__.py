# SPDX-License-Identifier: GPL-3.0-or-later
"""Queues of tasks: one interface, kept by an embedded database or by RabbitMQ."""

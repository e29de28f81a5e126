"""``python -m preprocess_service.page_worker``, started by the service with a socket as its standard input."""

from __future__ import annotations

from preprocess_service.page_worker.process_limits import leave_signals_to_parent

if __name__ == "__main__":
    leave_signals_to_parent()  # before the imports, which take most of the start
    from preprocess_service.page_worker.service_channel import ServiceChannel
    from preprocess_service.page_worker.work_loop import WorkLoop

    WorkLoop(ServiceChannel.from_standard_input()).run()

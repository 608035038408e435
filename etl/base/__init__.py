"""What everything stands on: settings, errors, files, threads. It knows nothing of evidence."""

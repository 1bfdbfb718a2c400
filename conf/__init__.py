"""Where things are: `settings.py` reads them once, `spark-defaults.conf` and `log4j2.properties` are Spark's."""

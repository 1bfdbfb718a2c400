"""Backups of lake, models and MongoDB into a folder or a store, and what `python -m local.restore` reads back.

__main__   ▶ python -m local.backup TO
content      what a backup consists of; its manifest, which is written last
copying      files copied with their checksums
lake         Delta tables as of a version
lake_tables  all tables of a lake, and the files of a version
models       complete model versions
database     MongoDB as of one moment; its documents and indexes
"""

// What the page does in the browser; handlers call it as synth.NAME(...).
const shown = (selector) => [...document.querySelectorAll(selector)].filter((part) => part.offsetParent)
const words = (text) => { const line = document.createElement('p'); line.textContent = text; return line.outerHTML }

window.synth = {
    // Take the brush, and have the canvas fill its column.
    takeBrush(editor) {
        const ready = setInterval(() => {
            const pad = document.getElementById(editor), brush = pad?.querySelector('button[aria-label=Brush]')
            if (!brush) return
            clearInterval(ready)
            if (!brush.classList.contains('highlight')) brush.click()
            pad.style.width = '99%'
            setTimeout(() => { pad.style.width = '' }, 100)
        }, 600)
    },

    // Until then the browser would show what is drawn, but not send it; page.css lets nobody draw.
    markLoaded(editor) {
        document.getElementById(editor).dataset.loaded = ''
    },

    // The status at once after a click on Run; where the result would lie outside the window, it is moved into view.
    starting() {
        const [result] = shown('.result'), panel = result?.closest('[role=tabpanel]')
        panel?.classList.remove('changed')
        panel?.classList.add('waiting')
        const [buttons] = shown('.run'), narrow = innerWidth < 700
        if (narrow) result?.scrollIntoView({behavior: 'smooth', block: 'center'})
        else if (result?.getBoundingClientRect().top + 0.9 * result?.clientWidth > innerHeight) {
            buttons.scrollIntoView({behavior: 'smooth', block: 'start'})
        }
        return words('Starting ...')
    },

    // The status of a run of which nothing was heard but an error.
    failed(status) {
        return status?.includes('Starting ...') ? words('The run could not start; the message says why.') : status
    },

    newSeed() {
        return Math.floor(Math.random() * 2 ** 31)
    },

    pressRun() {
        setTimeout(() => shown('.run button.primary')[0]?.click(), 100)
    },

    skip() {
        const [run] = shown('.run button.primary')
        run?.scrollIntoView({block: 'center'})
        run?.focus()
        return false
    },

    // While a checkpoint is loaded, nothing can be run: the classes and bounds on the page are the old one's. They are
    // counted, as the menu tells a choice twice.
    loads: 0,

    loading() {
        this.loads += 1
        document.querySelectorAll('.run button').forEach((button) => { button.disabled = true })
        return words('Loading ...')
    },

    loaded() {
        this.loads = Math.max(0, this.loads - 1)
        if (this.loads) return
        document.querySelectorAll('.run button').forEach((button) => { button.disabled = false })
        document.querySelectorAll('.changed').forEach((panel) => panel.classList.remove('changed'))
    },

    // A tab that was opened from above is moved into view.
    opened() {
        setTimeout(() => shown('.halves')[0]?.scrollIntoView({behavior: 'smooth', block: 'start'}), 300)
    },

    // The whole address of a link, which the address bar shows too where it is ours.
    showLink(query) {
        if (query && window === window.top) history.replaceState(null, '', query)
    },

    async copyLink(query) {
        const link = location.origin + location.pathname + query
        try {
            await navigator.clipboard.writeText(link)
        } catch {
            prompt('Copy this link:', link)  // a page without https may not write to the clipboard
        }
    },

    download(file) {
        const link = document.createElement('a')
        link.href = (Array.isArray(file) ? file[0] : file).url
        link.download = (Array.isArray(file) ? file[0] : file).orig_name
        link.click()
    },
}

// A setting that changes after a run fades its result, which no longer is that of the settings.
for (const name of ['input', 'change', 'click', 'pointerdown']) {
    addEventListener(name, (event) => {
        const inputs = event.target.closest?.('.inputs')
        if (!inputs || !event.isTrusted) return
        const chosen = name === 'click' ? '.thumbnail-item, [role=option], .masks button' : name === 'pointerdown' ? 'canvas' : '*'
        if (event.target.matches('[type=search], .features *') && name !== 'click') return
        if (event.target.closest(chosen)) inputs.closest('[role=tabpanel]').classList.add('changed')
    }, true)
}

// A picture editor would show nothing of a damaged file, and say nothing: ask the browser first whether it can be read.
const readable = new WeakSet()
addEventListener('change', (event) => {
    const input = event.target, file = input.files?.[0]
    if (!file || !input.closest('.pad') || readable.has(file)) return
    event.stopImmediatePropagation()
    createImageBitmap(file).then(() => {
        readable.add(file)
        input.dispatchEvent(new Event('change', {bubbles: true}))
    }, () => {
        input.value = ''
        const status = input.closest('[role=tabpanel]').querySelector('.block.status .prose')
        status.innerHTML = words(`picture: expected a readable picture file, got '${file.name}'`)
    })
}, true)

// Statuses are announced, a frame ends the wait for it, and pictures have their captions as texts.
new MutationObserver((changes) => {
    for (const part of document.querySelectorAll('.block.status, .block.note')) {
        if (part.role !== 'status') part.role = 'status'
    }
    for (const {target} of changes) {
        const status = (target.closest ? target : target.parentElement)?.closest('.status')
        if (/^(Step|Done|Ended|Stopped\. |Picture|Made earlier)/.test(status?.textContent.trim() ?? '')) {
            status.closest('[role=tabpanel]')?.classList.remove('waiting')
        }
    }
    for (const image of document.querySelectorAll('.picture img:not([alt]), .picture img[alt=""]')) {
        const label = image.closest('.picture').querySelector('[data-testid=block-label]')?.textContent.trim()
        image.alt = label || 'Result'
    }
}).observe(document, {childList: true, subtree: true, characterData: true})

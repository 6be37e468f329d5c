// What the page does in the browser; handlers call it as synth.NAME(...).
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

    // The status at once after a click on Run; a phone goes to where the result will be.
    starting() {
        const results = [...document.querySelectorAll('.result')].filter(part => part.offsetParent)
        if (innerWidth < 700) results[0]?.scrollIntoView({behavior: 'smooth', block: 'center'})
        return 'starting'
    },

    // The whole address of a link, which the address bar shows too where it is ours.
    showLink(query) {
        if (!query) return ''
        if (window === window.top) history.replaceState(null, '', query)
        return location.origin + location.pathname + query
    },
}
